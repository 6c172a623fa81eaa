"""What the shaders of synthetic scenes share: colours, light, shadows, and patterns.

All positions are in the camera's optical frame, in metres; colours are linear until `encode`.
What a person or an object looks like is the uniform array `looks`, whose entries are named in
`LOOKS`. Software renderers run both sides of every branch: hence one program per kind of thing,
and one `pattern` per fragment.
"""

LOOKS = (
    "SKIN", "HAIR", "HEAD", "TOP_A", "TOP_B", "TOP_C", "TOP_CUT", "TOP_CLOTH",
    "BOTTOM_A", "BOTTOM_B", "BOTTOM_CUT", "BOTTOM_CLOTH", "SHOES", "SOCKS", "PRINT",
    "PHASE", "SKIRT", "HAT", "BAG", "MASK",
)  # fmt: skip
"""Entries of `looks`: 4 floats each, described in `romp_core.data.synthetic.outfit`."""

COMMON = (
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

LIGHT = """
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
    // Outside of the map, behind its far plane too, lies its border, which is lit.
    vec3 p = (shadow_matrix * vec4(position, 1.0)).xyz * 0.5 + 0.5;
    p.z = min(p.z, 1.0);
    float lit = texture(shadow_map, p + vec3(shadow_texel, shadow_texel, 0.0));
    return 0.5 * (lit + texture(shadow_map, p - vec3(shadow_texel, shadow_texel, 0.0)));
}
"""

PATTERNS = """
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
