"""Shaders of the synthetic scenes: background with shadows, and textured people and objects.

All positions are in the camera's optical frame, in metres; colours are linear until `encode`.
Every person and every object owns one row of the `looks` texture, whose columns are named in
`LOOKS`; clothes, hair and faces are painted from the coordinates of the rest pose, so that a
fragment needs no texture atlas and edges of garments stay sharp.
"""

LOOKS = (
    "SKIN", "HAIR", "HEAD", "TOP_A", "TOP_B", "TOP_C", "TOP_CUT", "TOP_CLOTH",
    "BOTTOM_A", "BOTTOM_B", "BOTTOM_CUT", "BOTTOM_CLOTH", "SHOES", "SOCKS", "PRINT",
    "PHASE", "SKIRT", "HAT", "BAG", "MASK",
)  # fmt: skip
"""Columns of the `looks` texture: 4 floats each, described in `romp_core.data.synthetic.outfit`."""

KINDS = ("BODY", "SKIRT_PIECE", "HAIR_PIECE", "HAT_PIECE", "BAG_PIECE", "OBJECT")
"""What a vertex belongs to: fourth number of the attribute `in_region`."""

_DEFINES = "".join(f"#define {name} {number}\n" for number, name in enumerate(LOOKS)) + "".join(
    f"#define {name} {number}\n" for number, name in enumerate(KINDS)
)

_COMMON = (
    "#version 330\n"
    + _DEFINES
    + """
uniform sampler2D looks;
uniform sampler2D noise_texture;

vec4 look(int row, int column) { return texelFetch(looks, ivec2(column, row), 0); }
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
    vec3 p = (shadow_matrix * vec4(position, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(p, vec3(0.0))) || any(greaterThan(p, vec3(1.0)))) return 1.0;
    float lit = 0.0;
    for (int i = 0; i < 4; ++i) {
        vec2 offset = vec2(float(i & 1), float(i >> 1)) * 2.0 - 1.0;
        lit += texture(shadow_map, vec3(p.xy + offset * shadow_texel, p.z));
    }
    return 0.25 * lit;
}
"""

_PATTERNS = """
uniform sampler2D prints;

float stripes(float x, float share) { return step(fract(x), share); }

/* Cloth by number: 0 plain, 1 stripes, 2 pin stripes, 3 checks, 4 plaid, 5 dots, 6 camouflage,
   7 prints all over, 8 two tones that fade into each other, 9 planks or bricks. */
vec3 pattern(int style, vec2 uv, vec3 a, vec3 b, vec3 c) {
    if (style == 1) return mix(a, b, stripes(uv.y, 0.5));
    if (style == 2) return mix(a, b, stripes(uv.x, 0.15));
    if (style == 3) return mix(a, b, abs(stripes(uv.x, 0.5) - stripes(uv.y, 0.5)));
    if (style == 4) {
        vec3 base = mix(a, b, 0.5 * (stripes(uv.x, 0.4) + stripes(uv.y, 0.4)));
        return mix(base, c, 0.6 * max(stripes(uv.x + 0.3, 0.08), stripes(uv.y + 0.3, 0.08)));
    }
    if (style == 5) {
        vec2 cell = fract(uv + vec2(0.5 * mod(floor(uv.y), 2.0), 0.0)) - 0.5;
        return mix(a, b, step(dot(cell, cell), 0.07));
    }
    if (style == 6) {
        vec3 n = texture(noise_texture, uv * 0.06).rgb;
        return mix(mix(a, b, step(0.5, n.r)), c, step(0.56, n.g));
    }
    if (style == 7) {
        vec4 ink = texture(prints, uv * 0.25);
        return mix(a, mix(b, c, ink.r), ink.a);
    }
    if (style == 8) return mix(a, b, smoothstep(0.3, 0.7, 0.5 + 0.5 * sin(uv.y)));
    if (style == 9) {
        float row = floor(uv.y);
        vec2 cell = fract(vec2(uv.x * 0.4 + 0.37 * row, uv.y));
        float shade = texture(noise_texture, vec2(row * 0.137 + floor(uv.x * 0.4 + 0.37 * row) * 0.31, 0.5)).r;
        return mix(mix(a, c, shade), b, max(step(cell.y, 0.06), step(cell.x, 0.025)));
    }
    return a;
}
"""

BACKGROUND_VERTEX = """
#version 330
in vec2 in_corner;
out vec2 corner;
void main() { corner = in_corner; gl_Position = vec4(in_corner, 1.0, 1.0); }
"""

BACKGROUND_FRAGMENT = (
    _COMMON
    + _LIGHT
    + _PATTERNS
    + """
uniform mat3 ray_from_clip;
uniform mat3 world_from_optical;
uniform float camera_height;
uniform int mode;            // 0 panorama, 1 picture, 2 room
uniform sampler2D backdrop;
uniform sampler2D contact_map;
uniform vec4 contact_box;    // x0, z0, 1 / width, 1 / depth of the map on the floor
uniform vec3 room;           // distances in metres: half width, height, far wall
uniform int room_row;        // row of `looks` with the surfaces of the room
uniform float shadow_strength;

in vec2 corner;
layout(location = 0) out vec4 color;
layout(location = 1) out vec4 geometry;
layout(location = 2) out uvec2 ids;

vec3 panorama(vec3 direction) {
    vec3 d = normalize(panorama_from_optical * direction);
    vec2 uv = vec2(atan(d.x, d.z) / 6.2831853 + 0.5, 0.5 - asin(clamp(d.y, -1.0, 1.0)) / 3.1415927);
    return decode(textureLod(backdrop, uv, 0.0).rgb);
}

vec3 room_surface(vec3 p, vec3 normal, int column, vec2 uv) {
    vec4 a = look(room_row, column), b = look(room_row, column + 1);
    vec3 c = look(room_row, TOP_C).rgb;
    vec3 base = pattern(int(a.w), uv * b.w, a.rgb, b.rgb, c);
    vec4 grain = texture(noise_texture, uv * 0.31) + texture(noise_texture, uv * 1.7);
    return base * (0.75 + 0.25 * grain.g);
}

vec3 room_color(vec3 origin, vec3 d, out float t) {
    vec3 wall = vec3(d.x > 0.0 ? room.x : -room.x, d.y > 0.0 ? room.y : 0.0, d.z > 0.0 ? room.z : -4.0);
    vec3 steps = (wall - origin) / d;
    t = min(steps.x, min(steps.y, steps.z));
    vec3 p = origin + t * d;
    vec3 albedo, normal;
    if (t == steps.y) {
        normal = vec3(0.0, -sign(d.y), 0.0);
        albedo = d.y < 0.0 ? room_surface(p, normal, BOTTOM_A, p.xz) : vec3(0.75);
    } else {
        normal = t == steps.x ? vec3(-sign(d.x), 0.0, 0.0) : vec3(0.0, 0.0, -sign(d.z));
        vec2 uv = t == steps.x ? p.zy : p.xy;
        albedo = room_surface(p, normal, TOP_A, uv);
        // Posters and windows: rectangles on a coarse grid of the wall.
        vec2 cell = floor(uv / vec2(1.7, 2.6) + 0.13), local = fract(uv / vec2(1.7, 2.6) + 0.13);
        vec4 dice = texture(noise_texture, (cell * 0.173 + look(room_row, PHASE).xy));
        vec2 inside = step(vec2(0.25, 0.4), local) * step(local, 0.5 + 0.45 * dice.rg);
        if (inside.x * inside.y > 0.0 && dice.b > 0.52) {
            vec4 ink = texture(prints, local * 0.7 + dice.rg);
            albedo = dice.a > 0.5 ? vec3(1.6) * mix(vec3(1.0), dice.rgb, 0.3)
                                  : mix(decode(dice.rgb), ink.rgb, ink.a);
        }
    }
    float corner_shade = 1.0 - 0.35 * exp(-4.0 * min(min(room.x - abs(p.x), p.y), room.z - p.z));
    return albedo * ambient(transpose(world_from_optical) * normal) * corner_shade;
}

void main() {
    vec3 ray = ray_from_clip * vec3(corner, 1.0);   // optical, z = 1
    vec3 d = world_from_optical * ray;
    vec3 origin = vec3(0.0, camera_height, 0.0);
    float t = 1e6;
    vec3 c;
    if (mode == 2) c = room_color(origin, d, t);
    else c = mode == 0 ? panorama(ray) : decode(textureLod(backdrop, corner * 0.5 + 0.5, 0.0).rgb);

    float depth = 1e6;
    if (d.y < -1e-4) {
        float to_floor = -camera_height / d.y;
        if (to_floor < 40.0 && to_floor <= t + 1e-3) {
            depth = to_floor;
            vec3 up = vec3(world_from_optical[0].y, world_from_optical[1].y, world_from_optical[2].y);
            vec3 p = origin + to_floor * d;
            vec3 key = key_color * max(dot(up, key_direction), 0.0);
            vec3 sky = ambient(up);
            float lit = key_visibility(to_floor * ray + up * 0.01);
            vec3 ratio = (sky + key * lit) / (sky + key);
            vec2 uv = (p.xz - contact_box.xy) * contact_box.zw;
            float contact = 0.0;
            if (all(greaterThan(uv, vec2(0.0))) && all(lessThan(uv, vec2(1.0))))
                contact = texture(contact_map, uv).r;
            c *= mix(vec3(1.0), ratio, shadow_strength) * (1.0 - 0.75 * contact);
        }
    }
    color = vec4(encode(c), 1.0);
    geometry = vec4(0.0, 0.0, 0.0, depth);
    ids = uvec2(0u, 0u);
}
"""
)

# How far clothes stand off the skin, and which garment covers a point of the body.
_GARMENTS = """
uniform vec3 head_center;
uniform float head_radius;

float hair_field(vec3 rest, vec4 head) {
    vec3 p = (rest - head_center) / head_radius;
    return p.y - (head.x + 0.62 * p.z - 0.25 * p.z * p.z);
}
float top_cover(vec4 region, vec4 cut) {
    return step(region.x, cut.x) * step(cut.y, region.z) * step(region.z, 1.25);
}
float bottom_cover(vec4 region, vec4 cut) {
    return step(region.y, cut.x) * step(region.z, cut.y) * step(region.x, 0.0);
}
"""

PEOPLE_VERTEX = (
    _COMMON
    + _GARMENTS
    + """
uniform mat4 projection;
in vec3 in_position;
in vec3 in_normal;
in vec3 in_rest;
in vec4 in_region;
in vec2 in_owner;      // row of `looks`, body part
out vec3 position;
out vec3 normal;
out vec3 rest;
out vec4 region;
flat out ivec3 owner;   // row, body part, kind

float stand_off(int row) {
    int kind = int(in_region.w + 0.5);
    vec4 phase = look(row, PHASE);
    vec3 n = textureLod(noise_texture, in_rest.xy * 0.9 + phase.xy + in_rest.z, 0.0).rgb - 0.5;
    if (kind == OBJECT) return 0.0;
    if (kind == HAIR_PIECE) return look(row, HAIR).w * (0.5 + 1.5 * n.r);
    if (kind != BODY) return 0.02 * n.g;
    float off = 0.0;
    vec4 cut = look(row, TOP_CUT), cloth = look(row, TOP_CLOTH);
    float hem = smoothstep(cut.y - 0.03, cut.y + 0.03, in_region.z)
        * (1.0 - smoothstep(cut.x - 0.08, cut.x + 0.08, in_region.x))
        * (1.0 - smoothstep(0.9, 1.1, in_region.z));
    float hang = in_region.x > 0.0 ? 0.5 * min(in_region.x, 1.5) : clamp(1.4 - 1.3 * in_region.z, 0.0, 1.2);
    off = max(off, hem * (cloth.x + cloth.y * hang * (1.0 + 1.5 * n.r)));
    cut = look(row, BOTTOM_CUT); cloth = look(row, BOTTOM_CLOTH);
    float leg = (1.0 - smoothstep(cut.x - 0.06, cut.x + 0.06, in_region.y))
        * (1.0 - smoothstep(cut.y - 0.03, cut.y + 0.03, in_region.z)) * step(in_region.x, 0.0);
    off = max(off, leg * (cloth.x + cloth.y * clamp(in_region.y, 0.0, 2.0) * (0.6 + 1.2 * n.g)));
    vec4 shoes = look(row, SHOES);
    off = max(off, 0.012 * smoothstep(2.0 - shoes.w - 0.1, 2.0 - shoes.w + 0.1, in_region.y));
    vec4 head = look(row, HEAD), hair = look(row, HAIR);
    float grown = smoothstep(0.0, 0.35, hair_field(in_rest, head)) * step(1.02, in_region.z);
    return max(off, grown * hair.w * (1.0 + 1.6 * n.b));
}

void main() {
    int row = int(in_owner.x + 0.5);
    position = in_position + in_normal * stand_off(row);
    normal = in_normal;
    rest = in_rest;
    region = in_region;
    owner = ivec3(ivec2(in_owner + 0.5), int(in_region.w + 0.5));
    gl_Position = projection * vec4(position, 1.0);
}
"""
)

SHADOW_FRAGMENT = """
#version 330
void main() {}
"""

PEOPLE_FRAGMENT = (
    _COMMON
    + _LIGHT
    + _PATTERNS
    + _GARMENTS
    + """
uniform vec3 eyes;           // distance from the middle, height, depth of the eyes in the rest pose
uniform float mouth_height;

in vec3 position;
in vec3 normal;
in vec3 rest;
in vec4 region;
flat in ivec3 owner;
layout(location = 0) out vec4 color;
layout(location = 1) out vec4 geometry;
layout(location = 2) out uvec2 ids;

struct Surface { vec3 albedo; float fold; float gloss; };

vec2 cloth_uv(vec4 phase) {
    // Sheared so that no surface is seen edge-on by the pattern.
    return vec2(rest.x + 0.8 * rest.z, rest.y + 0.3 * rest.z) + phase.zw;
}
vec2 turned(vec2 uv, float angle) {
    return mat2(cos(angle), sin(angle), -sin(angle), cos(angle)) * uv;
}

Surface skin(int row) {
    vec4 tone = look(row, SKIN), head = look(row, HEAD);
    vec3 c = tone.rgb * (0.9 + 0.2 * texture(noise_texture, rest.xy * 2.1 + rest.z).g);
    Surface s = Surface(c, 0.02, 0.25);
    if (region.z < 1.02) return s;
    vec2 eye = vec2(abs(rest.x) - eyes.x, rest.y - eyes.y);
    if (rest.z > eyes.z - 0.035) {
        vec3 hair = look(row, HAIR).rgb;
        float lid = length(eye * vec2(1.0, 2.1));
        if (lid < 0.016) s.albedo = vec3(0.75);
        if (length(eye) < 0.0065 && lid < 0.016) s.albedo = vec3(0.03, 0.02, 0.015);
        if (abs(lid - 0.0165) < 0.0025) s.albedo *= 0.35;
        vec2 brow = vec2(eye.x, eye.y - 0.021 + 2.0 * eye.x * eye.x);
        if (abs(brow.x) < 0.022 && abs(brow.y) < 0.0045) s.albedo = mix(s.albedo, hair, head.z);
        vec2 lips = vec2(rest.x, (rest.y - mouth_height) * 2.4);
        if (length(lips) < 0.024) s.albedo *= vec3(0.95, 0.62, 0.62);
        float jaw = smoothstep(mouth_height + 0.015, mouth_height - 0.012, rest.y);
        s.albedo = mix(s.albedo, hair, head.y * jaw * step(0.024, length(lips)));
        if (head.w > 0.5) {
            float frame = abs(length(eye * vec2(1.0, 1.25)) - 0.024);
            if (frame < 0.0035) s = Surface(vec3(0.02), 0.0, 0.8);
            else if (head.w > 1.5 && length(eye * vec2(1.0, 1.25)) < 0.024)
                s = Surface(vec3(0.02), 0.0, 1.0);
        }
    }
    return s;
}

Surface body(int row, inout vec3 n) {
    vec4 phase = look(row, PHASE), cut = look(row, TOP_CUT), head = look(row, HEAD);
    vec2 uv = cloth_uv(phase);
    vec4 hair = look(row, HAIR);
    float mask = look(row, MASK).w;
    if (region.z > 1.02 && hair.w > 0.0
        && hair_field(rest, head) + 0.25 * (texture(noise_texture, rest.xy * 3.0).r - 0.5) > 0.0) {
        float strand = texture(noise_texture, vec2(rest.x * 9.0 + rest.z * 7.0, rest.y * 1.3)).r;
        return Surface(hair.rgb * (0.55 + 0.9 * strand), 0.35, 0.35);
    }
    if (mask > 0.0 && region.z > 1.0 && rest.z > eyes.z - 0.09 && rest.y < eyes.y - 0.028 * mask)
        return Surface(look(row, MASK).rgb, 0.1, 0.0);

    vec4 cloth = look(row, TOP_CLOTH), bottom_cut = look(row, BOTTOM_CUT);
    float collar = 1.02 - cut.z * (0.4 + 0.6 * smoothstep(0.12, 0.0, abs(rest.x)) * step(0.0, rest.z));
    if (top_cover(region, cut) > 0.0 && region.z < collar) {
        vec4 a = look(row, TOP_A), b = look(row, TOP_B), c = look(row, TOP_C);
        if (cut.w > 0.0 && rest.z > 0.0 && abs(rest.x) < cut.w)
            return Surface(c.rgb, 0.6 * cloth.z, 0.0);
        vec3 albedo = pattern(int(a.w), turned(uv, c.w) * b.w, a.rgb, b.rgb, c.rgb);
        vec4 stamp = look(row, PRINT);
        vec2 at = (rest.xy - stamp.xy) / stamp.z;
        if (stamp.z > 0.0 && max(abs(at.x), abs(at.y)) < 1.0 && rest.z * stamp.w > 0.0) {
            vec4 ink = texture(prints, (at * 0.5 + 0.5) * vec2(0.25, -0.25) + floor(phase.xy * 4.0) * 0.25);
            albedo = mix(albedo, ink.rgb, ink.a);
        }
        float edge = min(abs(region.x - cut.x) * 0.25, abs(region.z - cut.y) * 0.5);
        return Surface(albedo * (edge < 0.006 ? 0.7 : 1.0), cloth.z, cloth.w);
    }
    vec4 shoes = look(row, SHOES), socks = look(row, SOCKS);
    if (region.y > 2.0 - shoes.w) {
        bool sole = region.y > 2.78;
        return Surface(sole ? vec3(mix(0.05, 0.8, phase.x)) : shoes.rgb, 0.1, 0.3);
    }
    if (bottom_cover(region, bottom_cut) > 0.0) {
        vec4 a = look(row, BOTTOM_A), b = look(row, BOTTOM_B);
        vec4 bottom = look(row, BOTTOM_CLOTH);
        vec3 albedo = pattern(int(a.w), uv * b.w, a.rgb, b.rgb, look(row, TOP_C).rgb);
        if (region.z > bottom_cut.y - 0.05) albedo *= 0.6;
        return Surface(albedo, bottom.z, bottom.w);
    }
    if (region.y > 2.0 - socks.w) return Surface(socks.rgb, 0.2, 0.0);
    return skin(row);
}

Surface piece(int row, int kind) {
    vec4 phase = look(row, PHASE);
    vec2 uv = cloth_uv(phase);
    if (kind == SKIRT_PIECE) {
        vec4 skirt = look(row, SKIRT);
        if (region.y > skirt.x) discard;
        // A coat's tails hang open in front and are made of the top's cloth.
        bool coat = skirt.y > 0.5;
        if (coat && rest.z > 0.0 && abs(rest.x) < look(row, TOP_CUT).w) discard;
        vec4 a = look(row, coat ? TOP_A : BOTTOM_A), b = look(row, coat ? TOP_B : BOTTOM_B);
        float pleat = skirt.z * sin(atan(rest.x, rest.z) * 40.0);
        return Surface(pattern(int(a.w), uv * b.w, a.rgb, b.rgb, look(row, TOP_C).rgb) * (1.0 + 0.2 * pleat),
                       look(row, BOTTOM_CLOTH).z, look(row, BOTTOM_CLOTH).w);
    }
    if (kind == HAIR_PIECE) {
        if (region.x > look(row, SKIRT).w) discard;
        float strand = texture(noise_texture, vec2(rest.x * 9.0 + rest.z * 7.0, rest.y * 1.3)).r;
        return Surface(look(row, HAIR).rgb * (0.55 + 0.9 * strand), 0.35, 0.35);
    }
    if (kind == HAT_PIECE) {
        vec4 hat = look(row, HAT);
        // region.x: 0..1 dome, 1..2 brim; a cap's visor keeps only the front of the brim.
        if (region.x > hat.w || (hat.w < 1.75 && region.x > 1.0 && rest.z - head_center.z < 0.45 * head_radius)) discard;
        return Surface(hat.rgb * (abs(region.x - 0.85) < 0.12 ? 0.7 : 1.0), 0.15, 0.1);
    }
    vec4 bag = look(row, BAG);
    return Surface(bag.rgb * (0.75 + 0.5 * step(0.4, fract(rest.y * 7.0))), 0.2, 0.3);
}

void main() {
    int row = owner.x, kind = owner.z;
    vec3 n = normalize(normal);
    // The inside of a skirt or a hat: garments are sheets without a back of their own.
    if (dot(n, position) > 0.0 && kind != BODY) n = -n;
    Surface s;
    vec4 phase = look(row, PHASE);
    if (kind == OBJECT) {
        vec4 a = look(row, TOP_A), b = look(row, TOP_B);
        vec2 uv = vec2(rest.x + 0.71 * rest.z, rest.y + 0.53 * rest.z) + phase.zw;
        vec3 albedo = pattern(int(a.w), turned(uv, look(row, TOP_C).w) * b.w, a.rgb, b.rgb, look(row, TOP_C).rgb);
        s = Surface(albedo * (0.7 + 0.6 * texture(noise_texture, uv * vec2(0.7, 4.0)).g), 0.05, 0.3);
    } else if (kind == BODY) s = body(row, n);
    else s = piece(row, kind);

    vec3 wave = texture(noise_texture, vec2(rest.x * 1.1 + rest.z, rest.y * 2.3) + phase.xy).rgb
        + 0.6 * texture(noise_texture, vec2(rest.x * 3.7 - rest.z * 2.0, rest.y * 5.1) + phase.yz).rgb;
    n = normalize(n + s.fold * (wave - 0.8) * 2.2);
    vec3 weave = vec3(0.94 + 0.12 * texture(noise_texture, rest.xy * 23.0 + rest.z * 17.0).b);

    float key = max(dot(n, key_direction), 0.0);
    float lit = key > 0.0 ? key_visibility(position + normalize(normal) * 0.015) : 0.0;
    vec3 view = -normalize(position);
    float shine = pow(max(dot(n, normalize(view + key_direction)), 0.0), 24.0) * lit;
    float rim = 0.25 * pow(1.0 - max(dot(n, view), 0.0), 4.0);
    vec3 sky = ambient(n);
    vec3 c = s.albedo * weave * (sky + key_color * key * lit)
        + s.gloss * 0.2 * (key_color * shine + sky * rim);
    color = vec4(encode(c), 1.0);
    geometry = vec4(normalize(normal), position.z);
    ids = kind == OBJECT ? uvec2(255u, 255u) : uvec2(uint(row + 1), uint(owner.y));
}
"""
)
