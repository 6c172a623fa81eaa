"""Shaders of the synthetic scenes: background with shadows, people, clothes, and objects.

All positions are in the camera's optical frame, in metres; colours are linear until `encode`.
What a person or an object looks like is the uniform array `looks`, whose entries are named in
`LOOKS`; clothes, hair and faces are painted from the coordinates of the rest pose, so that a
fragment needs no texture atlas and edges of garments stay sharp. Software renderers run both
sides of every branch: hence one program per kind of thing, and one `pattern` per fragment.
"""

LOOKS = (
    "SKIN", "HAIR", "HEAD", "TOP_A", "TOP_B", "TOP_C", "TOP_CUT", "TOP_CLOTH",
    "BOTTOM_A", "BOTTOM_B", "BOTTOM_CUT", "BOTTOM_CLOTH", "SHOES", "SOCKS", "PRINT",
    "PHASE", "SKIRT", "HAT", "BAG", "MASK",
)  # fmt: skip
"""Entries of `looks`: 4 floats each, described in `romp_core.data.synthetic.outfit`."""

_COMMON = (
    "#version 330\n"
    + "".join(f"#define {name} looks[{number}]\n" for number, name in enumerate(LOOKS))
    + f"uniform vec4 looks[{len(LOOKS)}];\n"
    + """
uniform sampler2D noise_texture;

vec4 noise(vec2 uv) { return textureLod(noise_texture, uv, 0.0); }
vec3 decode(vec3 c) { return pow(c, vec3(2.2)); }
vec3 encode(vec3 c) {
    // Linear up to 0.7, then a shoulder: highlights bleach instead of clipping at once.
    vec3 high = 0.7 + 0.3 * (1.0 - exp(-(c - 0.7) / 0.3));
    return pow(mix(c, high, step(0.7, c)), vec3(1.0 / 2.2));
}
"""
)

_LIGHT = """
uniform vec3 irradiance[9];
uniform mat3 panorama_from_optical;
uniform vec3 key_direction;
uniform vec3 key_color;
uniform mat4 shadow_matrix;
uniform sampler2DShadow shadow_map;
uniform float shadow_texel;

vec3 ambient(vec3 normal) {
    vec3 n = panorama_from_optical * normal;
    vec3 e = irradiance[0] + irradiance[1] * n.y + irradiance[2] * n.z + irradiance[3] * n.x
        + irradiance[4] * (n.x * n.y) + irradiance[5] * (n.y * n.z)
        + irradiance[6] * (3.0 * n.z * n.z - 1.0) + irradiance[7] * (n.x * n.z)
        + irradiance[8] * (n.x * n.x - n.y * n.y);
    return max(e, 0.2 * irradiance[0]);
}

float key_visibility(vec3 position) {
    // Outside of the map lies its border, which is lit.
    vec3 p = (shadow_matrix * vec4(position, 1.0)).xyz * 0.5 + 0.5;
    float lit = texture(shadow_map, p + vec3(shadow_texel, shadow_texel, 0.0));
    return 0.5 * (lit + texture(shadow_map, p - vec3(shadow_texel, shadow_texel, 0.0)));
}
"""

_PATTERNS = """
uniform sampler2D prints;

float stripes(float x, float share) { return step(fract(x), share); }

/* Cloth by number: 0 plain, 1 stripes, 2 pin stripes, 3 checks, 4 plaid, 5 dots, 6 camouflage,
   7 prints all over, 8 two tones that fade into each other, 9 planks or bricks. */
vec3 pattern(int style, vec2 uv, vec3 a, vec3 b, vec3 c) {
    vec2 band = vec2(stripes(uv.x, style == 4 ? 0.4 : 0.5), stripes(uv.y, style == 4 ? 0.4 : 0.5));
    float line = max(stripes(uv.x + 0.3, 0.08), stripes(uv.y + 0.3, 0.08));
    vec2 dot_cell = fract(uv + vec2(0.5 * mod(floor(uv.y), 2.0), 0.0)) - 0.5;
    float row = floor(uv.y), shift = uv.x * 0.4 + 0.37 * row;
    vec2 brick = fract(vec2(shift, uv.y));
    vec4 n = noise(style == 6 ? uv * 0.06 : vec2(row * 0.137 + floor(shift) * 0.31, 0.5));
    vec4 ink = textureLod(prints, uv * 0.25, 2.0);

    float share = 0.0;
    if (style == 1) share = band.y;
    if (style == 2) share = stripes(uv.x, 0.15);
    if (style == 3) share = abs(band.x - band.y);
    if (style == 4) share = 0.5 * (band.x + band.y);
    if (style == 5) share = step(dot(dot_cell, dot_cell), 0.07);
    if (style == 6) share = step(0.5, n.r);
    if (style == 7) share = ink.a;
    if (style == 8) share = smoothstep(0.3, 0.7, 0.5 + 0.5 * sin(uv.y));
    if (style == 9) share = max(step(brick.y, 0.06), step(brick.x, 0.025));
    float third = style == 4 ? 0.6 * line : style == 6 ? step(0.56, n.g)
        : style == 7 ? ink.a * (1.0 - ink.r) : style == 9 ? n.r * (1.0 - share) : 0.0;
    return mix(mix(a, b, share), c, third);
}
vec2 turned(vec2 uv, float angle) {
    return mat2(cos(angle), sin(angle), -sin(angle), cos(angle)) * uv;
}
"""

BACKGROUND_VERTEX = """
#version 330
in vec2 in_corner;
out vec2 corner;
void main() { corner = in_corner; gl_Position = vec4(in_corner, 1.0, 1.0); }
"""

_BEHIND = {
    "panorama": """
uniform sampler2D backdrop;
vec3 behind(vec3 ray, vec3 origin, vec3 d, inout float t) {
    vec3 p = normalize(panorama_from_optical * ray);
    vec2 uv = vec2(atan(p.x, p.z) / 6.2831853 + 0.5, 0.5 - asin(clamp(p.y, -1.0, 1.0)) / 3.1415927);
    return decode(textureLod(backdrop, uv, 0.0).rgb);
}
""",
    "picture": """
uniform sampler2D backdrop;
vec3 behind(vec3 ray, vec3 origin, vec3 d, inout float t) {
    return decode(textureLod(backdrop, corner * 0.5 + 0.5, 0.0).rgb);
}
""",
    "room": """
uniform vec3 room;           // metres: half width, height, distance of the far wall
vec3 behind(vec3 ray, vec3 origin, vec3 d, inout float t) {
    vec3 wall = vec3(d.x > 0.0 ? room.x : -room.x, d.y > 0.0 ? room.y : 0.0, d.z > 0.0 ? room.z : -4.0);
    vec3 steps = (wall - origin) / d;
    t = min(steps.x, min(steps.y, steps.z));
    vec3 p = origin + t * d;
    bool level = t == steps.y, sideways = t == steps.x;
    vec3 normal = level ? vec3(0.0, -sign(d.y), 0.0)
        : sideways ? vec3(-sign(d.x), 0.0, 0.0) : vec3(0.0, 0.0, -sign(d.z));
    vec2 uv = level ? p.xz : sideways ? p.zy : p.xy;
    vec4 a = level ? BOTTOM_A : TOP_A, b = level ? BOTTOM_B : TOP_B;
    vec3 albedo = pattern(int(a.w), uv * b.w, a.rgb, b.rgb, TOP_C.rgb);
    if (level && d.y > 0.0) albedo = vec3(0.75);
    albedo *= 0.6 + 0.2 * noise(uv * 0.31).g + 0.2 * noise(uv * 1.7).r + 0.2 * noise(uv * 9.0).b;
    // Posters and windows: rectangles on a coarse grid of the wall.
    vec2 grid = uv / vec2(1.7, 2.6) + 0.13, local = fract(grid);
    vec4 dice = noise(floor(grid) * 0.173 + PHASE.xy);
    vec2 inside = step(vec2(0.25, 0.4), local) * step(local, 0.5 + 0.45 * dice.rg);
    vec4 ink = texture(prints, local * 0.7 + dice.rg);
    vec3 poster = dice.a > 0.5 ? mix(vec3(1.6), 1.6 * dice.rgb, 0.3) : mix(decode(dice.rgb), ink.rgb, ink.a);
    if (!level && inside.x * inside.y > 0.0 && dice.b > 0.52) albedo = poster;
    float edge = min(min(room.x - abs(p.x), p.y), room.z - p.z);
    return albedo * ambient(normal * world_from_optical) * (1.0 - 0.35 * exp(-4.0 * edge));
}
""",
}

_BACKGROUND = """
uniform mat3 ray_from_clip;
uniform mat3 world_from_optical;
uniform float camera_height;
uniform sampler2D contact_map;
uniform vec4 contact_box;    // x0, z0, 1 / width, 1 / depth of the map on the floor
uniform float shadow_strength;

in vec2 corner;
layout(location = 0) out vec4 color;
layout(location = 1) out float floor_depth;

vec3 behind(vec3 ray, vec3 origin, vec3 d, inout float t);

void main() {
    vec3 ray = ray_from_clip * vec3(corner, 1.0);   // optical frame, z = 1
    vec3 d = world_from_optical * ray;
    vec3 origin = vec3(0.0, camera_height, 0.0);
    float t = 1e6;
    vec3 c = behind(ray, origin, d, t);

    float depth = 1e6, to_floor = -camera_height / min(d.y, -1e-4);
    if (d.y < -1e-4 && to_floor < 40.0 && to_floor <= t + 1e-3) {
        depth = to_floor;
        vec3 up = vec3(world_from_optical[0].y, world_from_optical[1].y, world_from_optical[2].y);
        vec3 p = origin + to_floor * d;
        vec3 key = key_color * max(dot(up, key_direction), 0.0);
        vec3 sky = ambient(up);
        vec3 lit = (sky + key * key_visibility(to_floor * ray + up * 0.01)) / (sky + key);
        float contact = textureLod(contact_map, (p.xz - contact_box.xy) * contact_box.zw, 0.0).r;
        c *= mix(vec3(1.0), lit, shadow_strength) * (1.0 - 0.75 * contact);
    }
    color = vec4(encode(c), 1.0);
    floor_depth = depth;
}
"""


def background_fragment(mode: str) -> str:
    """The shader for what is behind the people: a "panorama", a "picture" or a "room"."""
    return _COMMON + _LIGHT + _PATTERNS + _BACKGROUND + _BEHIND[mode]


BACKGROUND_MODES = tuple(_BEHIND)

_FIGURE_VERTEX = """
uniform mat4 projection;
in vec3 in_position;
in vec3 in_normal;
in vec3 in_rest;
in vec3 in_region;
in float in_part;
out vec3 position;
out vec3 normal;
out vec3 rest;
out vec3 region;
flat out int part;

float stand_off();

void main() {
    position = in_position + in_normal * stand_off();
    normal = in_normal;
    rest = in_rest;
    region = in_region;
    part = int(in_part + 0.5);
    gl_Position = projection * vec4(position, 1.0);
}
"""

# Where clothes and hair are, and how far they stand off the skin.
_BODY_PARTS = """
uniform vec3 head_center;
uniform float head_radius;

float hair_field(vec3 rest) {
    vec3 p = (rest - head_center) / head_radius;
    return p.y - (HEAD.x + 0.62 * p.z - 0.25 * p.z * p.z);
}
"""

BODY_VERTEX = (
    _COMMON
    + _BODY_PARTS
    + _FIGURE_VERTEX
    + """
float stand_off() {
    vec3 n = noise(in_rest.xy * 0.9 + PHASE.xy + in_rest.z).rgb - 0.5;
    float arm = in_region.x, leg = in_region.y, trunk = in_region.z;
    float covered = smoothstep(TOP_CUT.y - 0.03, TOP_CUT.y + 0.03, trunk)
        * (1.0 - smoothstep(TOP_CUT.x - 0.08, TOP_CUT.x + 0.08, arm))
        * (1.0 - smoothstep(0.9, 1.1, trunk));
    float hang = arm > 0.0 ? 0.5 * min(arm, 1.5) : clamp(1.4 - 1.3 * trunk, 0.0, 1.2);
    float off = covered * (TOP_CLOTH.x + TOP_CLOTH.y * hang * (1.0 + 1.5 * n.r));
    covered = (1.0 - smoothstep(BOTTOM_CUT.x - 0.06, BOTTOM_CUT.x + 0.06, leg))
        * (1.0 - smoothstep(BOTTOM_CUT.y - 0.03, BOTTOM_CUT.y + 0.03, trunk)) * step(arm, 0.0);
    float wide = clamp(leg, 0.0, 2.0) * (0.6 + 1.2 * n.g);
    off = max(off, covered * (BOTTOM_CLOTH.x + BOTTOM_CLOTH.y * wide));
    off = max(off, 0.012 * smoothstep(1.9 - SHOES.w, 2.1 - SHOES.w, leg));
    float grown = smoothstep(0.0, 0.35, hair_field(in_rest)) * step(1.02, trunk);
    return max(off, grown * HAIR.w * (1.0 + 1.6 * n.b));
}
"""
)

PIECE_VERTEX = (
    _COMMON
    + _FIGURE_VERTEX
    + """
uniform int piece;
float stand_off() {
    float wave = noise(in_rest.xy * 0.9 + PHASE.xy + in_rest.z).g - 0.5;
    return piece == 4 ? 0.0 : 0.03 * wave;
}
"""
)

OBJECT_VERTEX = _COMMON + _FIGURE_VERTEX + "float stand_off() { return 0.0; }\n"

SHADOW_VERTEX = """
#version 330
uniform mat4 shadow_matrix;
in vec3 in_position;
void main() { gl_Position = shadow_matrix * vec4(in_position, 1.0); }
"""

SHADOW_FRAGMENT = """
#version 330
void main() {}
"""

_FIGURE_FRAGMENT = """
uniform int row;             // written to the buffer of rows

in vec3 position;
in vec3 normal;
in vec3 rest;
in vec3 region;
flat in int part;
layout(location = 0) out vec4 color;
layout(location = 1) out vec4 geometry;
layout(location = 2) out uvec2 ids;

/* What a point is made of: colours and pattern, how wrinkled and how shiny. */
struct Surface { vec3 a; vec3 b; vec3 c; int style; vec2 uv; float fold; float gloss; };

Surface plain(vec3 color, float fold, float gloss) {
    return Surface(color, color, color, 0, vec2(0.0), fold, gloss);
}
vec2 cloth_uv() {
    // Sheared so that no surface is seen edge-on by the pattern.
    return vec2(rest.x + 0.8 * rest.z, rest.y + 0.3 * rest.z) + PHASE.zw;
}
vec3 hair_color() { return HAIR.rgb * (0.55 + 0.9 * noise(vec2(rest.x * 9.0 + rest.z * 7.0, rest.y * 1.3)).r); }

Surface surface(vec4 grain);
vec3 finish(vec3 albedo, vec4 grain);

void main() {
    vec3 smooth_normal = normalize(normal), view = -normalize(position);
    if (dot(smooth_normal, view) < 0.0) smooth_normal = -smooth_normal;
    vec4 grain = noise(rest.xy * 2.1 + rest.z);
    Surface s = surface(grain);
    vec3 albedo = finish(pattern(s.style, s.uv, s.a, s.b, s.c), grain);

    // Folds: long waves of smooth noise, across the limbs rather than along them.
    vec3 wave = textureLod(noise_texture, vec2(rest.x * 0.9 + rest.z, rest.y * 1.5) + PHASE.xy, 3.0).rgb
        + 0.5 * textureLod(noise_texture, vec2(rest.x * 2.3 - rest.z, rest.y * 3.9) + PHASE.yz, 2.0).rgb;
    vec3 n = normalize(smooth_normal + s.fold * (wave - 0.75) * 3.0);
    albedo *= 0.94 + 0.12 * noise(rest.xy * 23.0 + rest.z * 17.0).b;

    float key = max(dot(n, key_direction), 0.0);
    float lit = key_visibility(position + smooth_normal * 0.015) * step(0.0, key);
    float shine = pow(max(dot(n, normalize(view + key_direction)), 0.0), 24.0) * lit;
    float rim = 1.0 - max(dot(n, view), 0.0);
    vec3 sky = ambient(n);
    vec3 c = albedo * (sky + key_color * key * lit)
        + s.gloss * 0.2 * (key_color * shine + sky * 0.25 * rim * rim * rim * rim);
    color = vec4(encode(c), 1.0);
    geometry = vec4(smooth_normal, position.z);
    ids = uvec2(uint(row), uint(part));
}
"""

_BODY_SURFACE = """
uniform vec3 eyes;           // distance from the middle, height, depth of the eyes in the rest pose
uniform float mouth_height;

Surface face(vec3 skin) {
    Surface s = plain(skin, 0.02, 0.25);
    vec2 eye = vec2(abs(rest.x) - eyes.x, rest.y - eyes.y);
    float lid = length(eye * vec2(1.0, 2.1)), glass = length(eye * vec2(1.0, 1.25));
    if (lid < 0.016) s.a = length(eye) < 0.0065 ? vec3(0.03, 0.02, 0.015) : vec3(0.75);
    if (abs(lid - 0.0165) < 0.0025) s.a *= 0.35;
    vec2 brow = vec2(eye.x, eye.y - 0.021 + 2.0 * eye.x * eye.x);
    if (abs(brow.x) < 0.022 && abs(brow.y) < 0.0045) s.a = mix(s.a, HAIR.rgb, HEAD.z);
    float lips = length(vec2(rest.x, (rest.y - mouth_height) * 2.4));
    if (lips < 0.024) s.a *= vec3(0.95, 0.62, 0.62);
    float jaw = smoothstep(mouth_height + 0.015, mouth_height - 0.012, rest.y);
    s.a = mix(s.a, HAIR.rgb, HEAD.y * jaw * step(0.024, lips));
    if (HEAD.w > 0.5 && abs(glass - 0.024) < 0.0035) s = plain(vec3(0.02), 0.0, 0.8);
    if (HEAD.w > 1.5 && glass < 0.024) s = plain(vec3(0.02), 0.0, 1.0);
    return s;
}

bool on_top() {
    float front = step(0.0, rest.z) * smoothstep(0.12, 0.0, abs(rest.x));
    float collar = 1.02 - TOP_CUT.z * (0.4 + 0.6 * front);
    return region.x < TOP_CUT.x && region.z > TOP_CUT.y && region.z < collar;
}

Surface surface(vec4 grain) {
    Surface s = plain(SKIN.rgb * (0.9 + 0.2 * grain.g), 0.02, 0.25);
    bool head = region.z > 1.02;
    if (head && rest.z > eyes.z - 0.035) s = face(s.a);
    if (region.y > 2.0 - SOCKS.w) s = plain(SOCKS.rgb, 0.2, 0.0);
    if (region.y < BOTTOM_CUT.x && region.z < BOTTOM_CUT.y && region.x < 0.0) {
        s = Surface(BOTTOM_A.rgb, BOTTOM_B.rgb, TOP_C.rgb, int(BOTTOM_A.w), cloth_uv() * BOTTOM_B.w,
                    BOTTOM_CLOTH.z, BOTTOM_CLOTH.w);
        if (region.z > BOTTOM_CUT.y - 0.05) s.a *= 0.6;
    }
    if (region.y > 2.0 - SHOES.w) {
        vec3 sole = vec3(mix(0.05, 0.8, PHASE.x));
        s = plain(region.y > 2.78 ? sole : SHOES.rgb, 0.1, 0.3);
    }
    if (on_top()) {
        s = Surface(TOP_A.rgb, TOP_B.rgb, TOP_C.rgb, int(TOP_A.w), turned(cloth_uv(), TOP_C.w) * TOP_B.w,
                    TOP_CLOTH.z, TOP_CLOTH.w);
        if (rest.z > 0.0 && abs(rest.x) < TOP_CUT.w) s = plain(TOP_C.rgb, 0.6 * TOP_CLOTH.z, 0.0);
    }
    if (MASK.w > 0.0 && region.z > 1.0 && rest.z > eyes.z - 0.09 && rest.y < eyes.y - 0.028 * MASK.w)
        s = plain(MASK.rgb, 0.1, 0.0);
    if (head && HAIR.w > 0.0 && hair_field(rest) + 0.25 * (grain.r - 0.5) > 0.0)
        s = plain(hair_color(), 0.35, 0.35);
    return s;
}

/* A print on the chest or the back, and seams. */
vec3 finish(vec3 albedo, vec4 grain) {
    vec2 at = (rest.xy - PRINT.xy) / max(PRINT.z, 1e-3);
    vec2 uv = (at * 0.5 + 0.5) * vec2(0.25, -0.25) + floor(PHASE.xy * 4.0) * 0.25;
    vec4 ink = textureLod(prints, uv, 1.0);
    bool top = on_top();
    bool printed = max(abs(at.x), abs(at.y)) < 1.0 && rest.z * PRINT.w > 0.0 && PRINT.z > 0.0;
    if (top && printed) albedo = mix(albedo, ink.rgb, ink.a);
    float edge = min(abs(region.x - TOP_CUT.x) * 0.25, abs(region.z - TOP_CUT.y) * 0.5);
    return top && edge < 0.006 ? 0.7 * albedo : albedo;
}
"""

PIECES = ("skirt", "hair", "hat", "bag", "shoe")
"""Values of the uniform `piece` of the program for extra pieces of geometry."""

_PIECE_SURFACE = """
uniform int piece;
uniform vec3 head_center;
uniform float head_radius;

Surface surface(vec4 grain) {
    float along = region.x;
    if (piece == 1) {
        if (along > SKIRT.w) discard;
        return plain(hair_color(), 0.35, 0.35);
    }
    if (piece == 2) {
        // 0..1 dome, 1..2 brim; a cap's visor keeps only the front of the brim.
        bool front = rest.z - head_center.z > 0.45 * head_radius;
        if (along > HAT.w || (HAT.w < 1.75 && along > 1.0 && !front)) discard;
        return plain(HAT.rgb * (abs(along - 0.85) < 0.12 ? 0.7 : 1.0), 0.15, 0.1);
    }
    if (piece == 3) return plain(BAG.rgb * (0.75 + 0.5 * step(0.4, fract(rest.y * 7.0))), 0.2, 0.3);
    if (piece == 4) {
        vec3 sole = vec3(mix(0.05, 0.8, PHASE.x));
        bool laces = abs(fract(along * 14.0) - 0.5) < 0.2 && along > 0.5 && PHASE.y > 0.4;
        vec3 upper = along < 0.62 + 0.1 * PHASE.z ? SHOES.rgb : SHOES.rgb * 0.6;
        return plain(along < 0.2 ? sole : laces ? mix(sole, upper, 0.5) : upper, 0.05, 0.3);
    }
    // A coat's tails hang open in front and are made of the top's cloth.
    bool coat = SKIRT.y > 0.5;
    if (along > SKIRT.x || (coat && rest.z > 0.0 && abs(rest.x) < TOP_CUT.w)) discard;
    vec4 a = coat ? TOP_A : BOTTOM_A, b = coat ? TOP_B : BOTTOM_B;
    return Surface(a.rgb, b.rgb, TOP_C.rgb, int(a.w), cloth_uv() * b.w, BOTTOM_CLOTH.z, BOTTOM_CLOTH.w);
}
vec3 finish(vec3 albedo, vec4 grain) {
    float pleats = piece == 0 ? SKIRT.z * sin(atan(rest.x, rest.z) * 40.0) : 0.0;
    return albedo * (1.0 + 0.2 * pleats);
}
"""

_OBJECT_SURFACE = """
Surface surface(vec4 grain) {
    vec2 uv = vec2(rest.x + 0.71 * rest.z, rest.y + 0.53 * rest.z) + PHASE.zw;
    return Surface(TOP_A.rgb, TOP_B.rgb, TOP_C.rgb, int(TOP_A.w), uv * TOP_B.w, 0.05, 0.3);
}
vec3 finish(vec3 albedo, vec4 grain) {
    vec2 uv = vec2(rest.x + 0.71 * rest.z, rest.y + 0.53 * rest.z) + PHASE.zw;
    return albedo * (0.7 + 0.6 * noise(uv * vec2(0.7, 4.0)).g);
}
"""

_FIGURE = _COMMON + _LIGHT + _PATTERNS + _FIGURE_FRAGMENT
BODY_FRAGMENT = _FIGURE + _BODY_PARTS + _BODY_SURFACE
PIECE_FRAGMENT = _FIGURE + _PIECE_SURFACE
OBJECT_FRAGMENT = _FIGURE + _OBJECT_SURFACE
