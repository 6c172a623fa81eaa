/* Convolutions for one instruction set; convolution.c includes this once for each.

   TARGET is the attribute of all functions, LANES the floats of a register, ROWS how many cells
   are multiplied at once, so that all sums stay in registers. WITH(name) is a name of its own.
   With BFLOAT16, factors are rounded to it before they are multiplied; sums are never. */

typedef float WITH(lanes) __attribute__((vector_size(LANES * sizeof(float)), aligned(4),
                                         may_alias));
typedef int32_t WITH(signs) __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
#define REGISTER WITH(lanes)
#define INLINE TARGET static inline __attribute__((always_inline))
#define LOAD(from) (*(const REGISTER *)(from))
#define STORE(to, value) (*(REGISTER *)(to) = (value))
#define PANEL (2 * LANES)
/* Before loops over registers, which would otherwise be kept in memory. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#ifdef BFLOAT16
#define FACTOR uint16_t
#define CELLS 2

/* Numbers as factors. */
INLINE void WITH(put)(uint16_t *to, REGISTER numbers)
{
    const __m256bh rounded = _mm512_cvtneps_pbh((__m512)numbers);
    memcpy(to, &rounded, sizeof rounded);
}

/* Add ROWS cells, each `stride` after the one before, times a panel: (depth / 2, PANEL, 2). What
   lies `ahead` is fetched meanwhile, as many bytes as half of the panel has. */
INLINE void WITH(multiply)(const uint16_t *restrict cells, Py_ssize_t stride,
                           const uint16_t *restrict panel, Py_ssize_t depth,
                           const uint16_t *ahead, REGISTER sums[ROWS][2])
{
    for (Py_ssize_t k = 0; k < depth; k += 2, panel += 2 * PANEL, ahead += PANEL) {
        __builtin_prefetch(ahead, 0, 2);
        __m512bh first, second;
        memcpy(&first, panel, sizeof first);
        memcpy(&second, panel + PANEL, sizeof second);
        UNROLL
        for (int row = 0; row < ROWS; row++) {
            int pair;
            memcpy(&pair, cells + row * stride + k, sizeof pair);
            const __m512bh cell = (__m512bh)_mm512_set1_epi32(pair);
            sums[row][0] = (REGISTER)_mm512_dpbf16_ps((__m512)sums[row][0], cell, first);
            sums[row][1] = (REGISTER)_mm512_dpbf16_ps((__m512)sums[row][1], cell, second);
        }
    }
}

/* Four of a tile's pixels in a line to four products' first factors: B^T of Lavin and Gray's
   F(2 x 2, 3 x 3). That of larger tiles would make much of the rounding. */
INLINE void WITH(input_transform)(const REGISTER d[4], REGISTER t[4])
{
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
}

/* Four products to two cells: A^T of the same. */
INLINE void WITH(output_transform)(const REGISTER m[4], REGISTER cells[2])
{
    cells[0] = m[0] + m[1] + m[2];
    cells[1] = m[1] - m[2] - m[3];
}
#else
#define FACTOR float
#define CELLS 4

INLINE void WITH(put)(float *to, REGISTER numbers)
{
    STORE(to, numbers);
}

/* Add ROWS cells, each `stride` after the one before, times a panel: (depth, PANEL). What lies
   `ahead` is fetched meanwhile, as many bytes as half of the panel has. */
INLINE void WITH(multiply)(const float *restrict cells, Py_ssize_t stride,
                           const float *restrict panel, Py_ssize_t depth,
                           const float *ahead, REGISTER sums[ROWS][2])
{
    for (Py_ssize_t k = 0; k < depth; k++, panel += PANEL, ahead += LANES) {
        __builtin_prefetch(ahead, 0, 2);
        const REGISTER first = LOAD(panel), second = LOAD(panel + LANES);
        UNROLL
        for (int row = 0; row < ROWS; row++) {
            const float cell = cells[row * stride + k];
            sums[row][0] += cell * first;
            sums[row][1] += cell * second;
        }
    }
}

/* Six of a tile's pixels in a line to six products' first factors: B^T of Lavin and Gray's
   F(4 x 4, 3 x 3). */
INLINE void WITH(input_transform)(const REGISTER d[6], REGISTER t[6])
{
    const REGISTER even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
    const REGISTER outer = d[4] - d[2], inner = 2 * (d[3] - d[1]);
    t[0] = 4 * d[0] + (d[4] - 5 * d[2]);
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = outer + inner;
    t[4] = outer - inner;
    t[5] = 4 * d[1] + (d[5] - 5 * d[3]);
}

/* Six products to four cells: A^T of the same. */
INLINE void WITH(output_transform)(const REGISTER m[6], REGISTER cells[4])
{
    const REGISTER one = m[1] + m[2], other = m[1] - m[2];
    const REGISTER two = m[3] + m[4], differ = m[3] - m[4];
    cells[0] = m[0] + one + two;
    cells[1] = other + 2 * differ;
    cells[2] = one + 4 * two;
    cells[3] = other + 8 * differ + m[5];
}
#endif

#define POINTS (CELLS + 2)
#define PRODUCTS (POINTS * POINTS)

/* What leaves: with the shortcut where there is one, and a ReLU that lets NaN through. */
INLINE REGISTER WITH(finished)(REGISTER value, const float *shortcut, int relu)
{
    if (shortcut != NULL) {
        value += LOAD(shortcut);
    }
    return relu ? (REGISTER)((WITH(signs))value & ~(WITH(signs))(value < 0)) : value;
}

/* One cell's channels, of which a panel may have more than there are. */
INLINE void WITH(leave)(const struct convolution *c, const REGISTER sums[2], Py_ssize_t cell,
                        Py_ssize_t channel)
{
    const Py_ssize_t at = cell * c->outputs + channel, left = c->outputs - channel;
    const float *shortcut = c->shortcut == NULL ? NULL : c->shortcut + at;
    if (left >= PANEL) {
        STORE(c->result + at, WITH(finished)(sums[0], shortcut, c->relu));
        shortcut = shortcut == NULL ? NULL : shortcut + LANES;
        STORE(c->result + at + LANES, WITH(finished)(sums[1], shortcut, c->relu));
        return;
    }
    float added[PANEL] = {0}, values[PANEL];
    if (shortcut != NULL) {
        memcpy(added, shortcut, sizeof(float) * (size_t)left);
    }
    STORE(values, WITH(finished)(sums[0], added, c->relu));
    STORE(values + LANES, WITH(finished)(sums[1], added + LANES, c->relu));
    memcpy(c->result + at, values, sizeof(float) * (size_t)left);
}

/* A row's cells from `x` on until `end`, before the enlargement, by one panel. `rows` are the rows
   of pixels under the kernel, `span` factors each, with what it reaches beyond the border. */
TARGET static void WITH(direct_cells)(const struct convolution *c, const FACTOR *rows,
                                    Py_ssize_t span, Py_ssize_t row, Py_ssize_t panel,
                                    Py_ssize_t x, Py_ssize_t end)
{
    const Py_ssize_t across = c->result_width, kernel = c->kernel, depth = c->inputs;
    const Py_ssize_t channel = panel * PANEL, scale = c->scale;
    const FACTOR *weights = (const FACTOR *)c->weights + panel * kernel * kernel * depth * PANEL;
    for (; x < end; x += ROWS) {
        REGISTER sums[ROWS][2];
        UNROLL
        for (int i = 0; i < ROWS; i++) {
            sums[i][0] = LOAD(c->bias + channel);
            sums[i][1] = LOAD(c->bias + channel + LANES);
        }
        for (Py_ssize_t y = 0; y < kernel; y++) { /* a row of the kernel lies together */
            /* Nothing is fetched ahead: the next cells want the same weights again. */
            WITH(multiply)(rows + y * span + x * c->stride * depth, c->stride * depth,
                           weights + y * kernel * depth * PANEL, kernel * depth, weights, sums);
        }
        for (Py_ssize_t i = 0; i < ROWS && x + i < end; i++) {
            const Py_ssize_t corner = (row * scale * across + x + i) * scale;
            for (Py_ssize_t place = 0; place < scale * scale; place++) {
                const Py_ssize_t down = place / scale * across * scale;
                WITH(leave)(c, sums[i], corner + down + place % scale, channel);
            }
        }
    }
}

/* A row of pixels as factors. */
INLINE void WITH(copy_row)(const struct convolution *c, const float *row, FACTOR *to)
{
#ifdef BFLOAT16
    const Py_ssize_t numbers = c->width * c->inputs;
    Py_ssize_t i = 0;
    for (; i + LANES <= numbers; i += LANES) {
        WITH(put)(to + i, LOAD(row + i));
    }
    float rest[LANES] = {0};
    uint16_t rounded[LANES];
    memcpy(rest, row + i, sizeof(float) * (size_t)(numbers - i));
    WITH(put)(rounded, LOAD(rest));
    memcpy(to + i, rounded, sizeof(uint16_t) * (size_t)(numbers - i));
#else
    memcpy(to, row, sizeof(float) * (size_t)(c->width * c->inputs));
#endif
}

/* Rows of cells until there are none left. */
TARGET static void WITH(direct)(struct convolution *c, void *workspace, int thread)
{
    const Py_ssize_t reach = c->kernel / 2, depth = c->inputs, span = row_of_pixels(c) * depth;
    const size_t weights = sizeof(FACTOR) * (size_t)(c->kernel * c->kernel * depth * c->outputs);
    const Py_ssize_t step = weights > KEPT_WEIGHTS ? c->result_width : ROWS;
    FACTOR *rows = workspace;
    memset(rows, 0, sizeof(FACTOR) * (size_t)(reads_in_place(c) ? 0 : c->kernel * span));
    struct worker worker = {c, c->batch * c->result_height, thread, 0};
    for (Py_ssize_t row; (row = next(&worker)) >= 0;) {
        const Py_ssize_t image = row / c->result_height * c->height;
        const Py_ssize_t top = row % c->result_height * c->stride - reach;
        const float *pixels = c->image + (image + top) * c->width * c->inputs;
        for (Py_ssize_t y = 0; !reads_in_place(c) && y < c->kernel; y++) {
            FACTOR *to = rows + y * span + reach * depth;
            if (top + y >= 0 && top + y < c->height) {
                WITH(copy_row)(c, pixels + y * c->width * c->inputs, to);
            } else {
                memset(to, 0, sizeof(FACTOR) * (size_t)(c->width * depth));
            }
        }
        const FACTOR *read = reads_in_place(c) ? (const void *)pixels : rows;
        for (Py_ssize_t x = 0, end; x < c->result_width; x = end) {
            end = x + step < c->result_width ? x + step : c->result_width;
            for (Py_ssize_t panel = 0; panel < panels(c); panel++) {
                WITH(direct_cells)(c, read, span, row, panel, x, end);
            }
        }
    }
}

/* Tiles' pixels, transformed: (PRODUCTS, TILES, inputs), PAD between them. */
TARGET static void WITH(transform_tiles)(const struct convolution *c, Py_ssize_t first,
                                         Py_ssize_t end, FACTOR *factors)
{
    const Py_ssize_t depth = c->inputs, between = TILES * depth + PAD;
    for (Py_ssize_t tile = first; tile < end; tile++) {
        const struct place at = place_of(c, tile);
        const Py_ssize_t top = at.y - 1, left = at.x - 1;
        const int within =
            top >= 0 && left >= 0 && top + POINTS <= c->height && left + POINTS <= c->width;
        const float *image = c->image + at.image * c->height * c->width * depth;
        FACTOR *out = factors + (tile - first) * depth;
        for (Py_ssize_t channel = 0; channel < depth; channel += LANES, out += LANES) {
            REGISTER lines[POINTS][POINTS];
            UNROLL
            for (Py_ssize_t x = 0; x < POINTS; x++) {
                REGISTER column[POINTS], spread[POINTS];
                UNROLL
                for (Py_ssize_t y = 0; y < POINTS; y++) {
                    const int inside = within || (top + y >= 0 && top + y < c->height &&
                                                  left + x >= 0 && left + x < c->width);
                    const Py_ssize_t pixel = (top + y) * c->width + left + x;
                    column[y] = inside ? LOAD(image + pixel * depth + channel) : (REGISTER){0};
                }
                WITH(input_transform)(column, spread);
                UNROLL
                for (int y = 0; y < POINTS; y++) {
                    lines[y][x] = spread[y];
                }
            }
            UNROLL
            for (int y = 0; y < POINTS; y++) {
                REGISTER spread[POINTS];
                WITH(input_transform)(lines[y], spread);
                UNROLL
                for (int x = 0; x < POINTS; x++) {
                    WITH(put)(out + (y * POINTS + x) * between, spread[x]);
                }
            }
        }
    }
}

/* Products of tiles with one panel: (PRODUCTS, TILES, PANEL), PAD between them. */
TARGET static void WITH(multiply_tiles)(const struct convolution *c, const FACTOR *factors,
                                        Py_ssize_t count, Py_ssize_t panel, float *products)
{
    const Py_ssize_t depth = c->inputs;
    const FACTOR *weights = (const FACTOR *)c->weights + panel * PRODUCTS * depth * PANEL;
    for (Py_ssize_t number = 0; number < PRODUCTS; number++, weights += depth * PANEL) {
        for (Py_ssize_t tile = 0; tile < count; tile += ROWS) {
            REGISTER sums[ROWS][2];
            UNROLL
            for (int i = 0; i < ROWS; i++) {
                sums[i][0] = sums[i][1] = (REGISTER){0};
            }
            /* The next product's weights come while this one's are used twice or more. */
            const FACTOR *ahead = weights + depth * PANEL + tile / ROWS % 2 * depth * LANES;
            WITH(multiply)(factors + number * (TILES * depth + PAD) + tile * depth, depth, weights,
                           depth, ahead, sums);
            float *out = products + number * (TILES * PANEL + PAD) + tile * PANEL;
            UNROLL
            for (int i = 0; i < ROWS; i++, out += PANEL) {
                STORE(out, sums[i][0]);
                STORE(out + LANES, sums[i][1]);
            }
        }
    }
}

/* Products to cells, half a panel of one tile's at a time. */
TARGET static void WITH(tiles_leave)(const struct convolution *c, const float *products,
                                     Py_ssize_t first, Py_ssize_t end, Py_ssize_t panel)
{
    for (Py_ssize_t half = 0; half < 2 * (end - first); half++) {
        const Py_ssize_t channel = panel * PANEL + half % 2 * LANES;
        if (channel >= c->outputs) {
            continue;
        }
        const struct place at = place_of(c, first + half / 2);
        const float *in = products + half * LANES;
        REGISTER lines[CELLS][POINTS];
        UNROLL
        for (int x = 0; x < POINTS; x++) {
            REGISTER column[POINTS], cells[CELLS];
            UNROLL
            for (int y = 0; y < POINTS; y++) {
                column[y] = LOAD(in + (y * POINTS + x) * (TILES * PANEL + PAD));
            }
            WITH(output_transform)(column, cells);
            UNROLL
            for (int y = 0; y < CELLS; y++) {
                lines[y][x] = cells[y];
            }
        }
        const REGISTER bias = LOAD(c->bias + channel);
        UNROLL
        for (Py_ssize_t y = 0; y < CELLS; y++) {
            REGISTER cells[CELLS];
            WITH(output_transform)(lines[y], cells);
            const Py_ssize_t cell = (at.image * c->height + at.y + y) * c->width + at.x;
            const Py_ssize_t across = at.y + y < c->height ? c->width - at.x : 0;
            UNROLL
            for (Py_ssize_t x = 0; x < CELLS; x++) {
                const Py_ssize_t to = (cell + x) * c->outputs + channel;
                const float *shortcut = c->shortcut == NULL ? NULL : c->shortcut + to;
                if (x < across) {
                    STORE(c->result + to, WITH(finished)(cells[x] + bias, shortcut, c->relu));
                }
            }
        }
    }
}

/* Groups of tiles, and of panels where tiles are too few for all threads, until none are left. */
TARGET static void WITH(winograd)(struct convolution *c, void *workspace, int thread)
{
    const Py_ssize_t all = tiles(c), chunks = tile_chunks(c), groups = panel_groups(c);
    float *products = workspace;
    FACTOR *factors = (FACTOR *)(products + PRODUCTS * (TILES * PANEL + PAD));
    struct worker worker = {c, chunks * groups, thread, 0};
    for (Py_ssize_t unit; (unit = next(&worker)) >= 0;) {
        const Py_ssize_t first = unit % chunks * TILES, group = unit / chunks;
        const Py_ssize_t end = first + TILES < all ? first + TILES : all;
        WITH(transform_tiles)(c, first, end, factors);
        const Py_ssize_t last = panels(c) * (group + 1) / groups;
        for (Py_ssize_t panel = panels(c) * group / groups; panel < last; panel++) {
            WITH(multiply_tiles)(c, factors, end - first, panel, products);
            WITH(tiles_leave)(c, products, first, end, panel);
        }
    }
}

#undef REGISTER
#undef INLINE
#undef LOAD
#undef STORE
#undef PANEL
#undef UNROLL
#undef FACTOR
#undef CELLS
#undef POINTS
#undef PRODUCTS
#undef TARGET
#undef LANES
#undef ROWS
#undef WITH
