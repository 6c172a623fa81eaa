"""Shaders of synthetic people, of what they wear, and of the objects around them.

Clothes, hair and faces are painted from the coordinates of the rest pose, so that a fragment
needs no texture atlas and edges of garments stay sharp.
"""

from romp_core.render.people_shading import COMMON, LIGHT, PATTERNS

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
    COMMON
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

PIECES = ("skirt", "hair", "hat", "bag", "shoe", "scarf")
"""Values of the uniform `piece` of the program for extra pieces of geometry."""

_PIECE_NAMES = "".join(f"#define {name.upper()}_PIECE {n}\n" for n, name in enumerate(PIECES))

PIECE_VERTEX = (
    COMMON
    + _PIECE_NAMES
    + _FIGURE_VERTEX
    + """
uniform int piece;
float stand_off() {
    float wave = noise(in_rest.xy * 0.9 + PHASE.xy + in_rest.z).g - 0.5;
    return piece == SHOE_PIECE ? 0.0 : 0.03 * wave;
}
"""
)

OBJECT_VERTEX = COMMON + _FIGURE_VERTEX + "float stand_off() { return 0.0; }\n"

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
vec3 hair_color() {
    float strand = noise(vec2(rest.x * 9.0 + rest.z * 7.0, rest.y * 1.3)).r;
    return HAIR.rgb * (0.55 + 0.9 * strand);
}

Surface surface(vec4 grain);
vec3 finish(vec3 albedo, vec4 grain);

void main() {
    vec3 smooth_normal = normalize(normal), view = -normalize(position);
    if (dot(smooth_normal, view) < 0.0) smooth_normal = -smooth_normal;
    vec4 grain = noise(rest.xy * 2.1 + rest.z);
    Surface s = surface(grain);
    vec3 albedo = finish(pattern(s.style, s.uv, s.a, s.b, s.c), grain);

    // Folds: long waves of smooth noise, across the limbs rather than along them.
    vec2 long_wave = vec2(rest.x * 0.9 + rest.z, rest.y * 1.5) + PHASE.xy;
    vec2 short_wave = vec2(rest.x * 2.3 - rest.z, rest.y * 3.9) + PHASE.yz;
    vec3 wave = textureLod(noise_texture, long_wave, 3.0).rgb
        + 0.5 * textureLod(noise_texture, short_wave, 2.0).rgb;
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
        s = Surface(TOP_A.rgb, TOP_B.rgb, TOP_C.rgb, int(TOP_A.w),
                    turned(cloth_uv(), TOP_C.w) * TOP_B.w, TOP_CLOTH.z, TOP_CLOTH.w);
        if (rest.z > 0.0 && abs(rest.x) < TOP_CUT.w) s = plain(TOP_C.rgb, 0.6 * TOP_CLOTH.z, 0.0);
    }
    bool below_eyes = rest.z > eyes.z - 0.09 && rest.y < eyes.y - 0.028;
    if (MASK.w > 0.0 && region.z > 1.0 && below_eyes)
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

_PIECE_SURFACE = """
uniform int piece;
uniform vec3 head_center;
uniform float head_radius;

Surface shoe(float along) {
    vec3 sole = vec3(mix(0.05, 0.8, PHASE.x));
    vec3 upper = along < 0.62 + 0.1 * PHASE.z ? SHOES.rgb : SHOES.rgb * 0.6;
    bool laces = abs(fract(along * 14.0) - 0.5) < 0.2 && along > 0.5 && PHASE.y > 0.4;
    return plain(along < 0.2 ? sole : laces ? mix(sole, upper, 0.5) : upper, 0.05, 0.3);
}

/* `region` is the same in all three: how far along the piece, 0..1; a hat's brim is 1..2. */
Surface surface(vec4 grain) {
    float along = region.x;
    if (piece == HAIR_PIECE) {
        if (along > LONG_HAIR.x) discard;
        return plain(hair_color(), 0.35, 0.35);
    }
    if (piece == HAT_PIECE) {
        // A cap's visor keeps only the front of the brim.
        bool front = rest.z - head_center.z > 0.45 * head_radius;
        if (along > HAT.w || (HAT.w < 1.75 && along > 1.0 && !front)) discard;
        return plain(HAT.rgb * (abs(along - 0.85) < 0.12 ? 0.7 : 1.0), 0.15, 0.1);
    }
    if (piece == BAG_PIECE)
        return plain(BAG.rgb * (0.75 + 0.5 * step(0.4, fract(rest.y * 7.0))), 0.2, 0.3);
    if (piece == SCARF_PIECE) return plain(TOP_B.rgb, TOP_CLOTH.z, 0.0);
    if (piece == SHOE_PIECE) return shoe(along);
    // A coat's tails hang open in front and are made of the top's cloth.
    bool coat = SKIRT.y > 0.5;
    if (along > SKIRT.x || (coat && rest.z > 0.0 && abs(rest.x) < TOP_CUT.w)) discard;
    vec4 a = coat ? TOP_A : BOTTOM_A, b = coat ? TOP_B : BOTTOM_B;
    return Surface(a.rgb, b.rgb, TOP_C.rgb, int(a.w), cloth_uv() * b.w,
                   BOTTOM_CLOTH.z, BOTTOM_CLOTH.w);
}
vec3 finish(vec3 albedo, vec4 grain) {
    float pleats = piece == SKIRT_PIECE ? SKIRT.z * sin(atan(rest.x, rest.z) * 40.0) : 0.0;
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

_FIGURE = COMMON + LIGHT + PATTERNS + _FIGURE_FRAGMENT
BODY_FRAGMENT = _FIGURE + _BODY_PARTS + _BODY_SURFACE
PIECE_FRAGMENT = _FIGURE + _PIECE_NAMES + _PIECE_SURFACE
OBJECT_FRAGMENT = _FIGURE + _OBJECT_SURFACE
