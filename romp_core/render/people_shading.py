"""What the shaders of synthetic scenes share: colours, light, shadows, and patterns.

All positions are in the camera's optical frame, in metres; colours are linear until `encode`.
What a person or an object looks like is the uniform array `looks`, whose entries are named in
`LOOKS`. Software renderers run both sides of every branch: hence one program per kind of thing,
and one `pattern` per fragment.
"""

LOOKS = (
    "SKIN",  # colour; of a room: 1 if it is open to the sky
    "HAIR",  # colour, thickness in metres
    "HEAD",  # hairline (9 for bald), beard 0..1, eyebrows 0..1, glasses 1 or sun glasses 2
    "TOP_A",  # first colour, number of the pattern
    "TOP_B",  # second colour, repeats of the pattern per metre
    "TOP_C",  # third colour (what is below an open jacket), angle of the pattern
    "TOP_CUT",  # end of the sleeve, hem, depth of the neckline, half width of the opening
    "TOP_CLOTH",  # thickness and looseness in metres, folds, gloss
    "BOTTOM_A",  # as TOP
    "BOTTOM_B",
    "BOTTOM_CUT",  # end of the leg, waist
    "BOTTOM_CLOTH",  # as TOP
    "SHOES",  # colour, height above the ankle
    "SOCKS",  # colour, height above the ankle
    "PRINT",  # x, y and half size in metres, 1 on the chest or -1 on the back
    "PHASE",  # four random numbers
    "SKIRT",  # length 0..1, 1 if it is the tail of a coat, pleats
    "LONG_HAIR",  # length 0..1
    "HAT",  # colour, 1 without brim, 1.6 with a visor, 2.1 with a brim
    "BAG",  # colour of whatever is carried
    "MASK",  # colour, 1 if worn
)
"""Entries of `looks`, 4 floats each: a linear RGB colour and a number, or four numbers. Sleeves,
legs and hems end at coordinates of `in_region`: see `romp_core.data.synthetic.garments`."""

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
