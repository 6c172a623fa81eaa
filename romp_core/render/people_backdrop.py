"""Shaders for what is behind synthetic people, with the shadows that they cast on the floor."""

from romp_core.render.people_shading import COMMON, LIGHT, PATTERNS

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
    vec3 far = vec3(room.x, room.y, room.z), near = vec3(-room.x, 0.0, -4.0);
    vec3 wall = mix(near, far, step(0.0, d));
    vec3 steps = (wall - origin) / d;
    t = min(steps.x, min(steps.y, steps.z));
    vec3 p = origin + t * d;
    bool level = t == steps.y, sideways = t == steps.x;
    vec3 normal = level ? vec3(0.0, -sign(d.y), 0.0)
        : sideways ? vec3(-sign(d.x), 0.0, 0.0) : vec3(0.0, 0.0, -sign(d.z));
    vec2 uv = level ? p.xz : sideways ? p.zy : p.xy;
    vec4 a = level ? BOTTOM_A : TOP_A, b = level ? BOTTOM_B : TOP_B;
    vec3 albedo = pattern(int(a.w), uv * b.w, a.rgb, b.rgb, TOP_C.rgb);
    if (level && d.y > 0.0) albedo = vec3(0.8);
    albedo *= 0.6 + 0.2 * noise(uv * 0.31).g + 0.2 * noise(uv * 1.7).r + 0.2 * noise(uv * 9.0).b;
    // Posters and windows: rectangles on a coarse grid of the wall.
    vec2 grid = uv / vec2(1.7, 2.6) + 0.13, local = fract(grid);
    vec4 dice = noise(floor(grid) * 0.173 + PHASE.xy);
    vec2 inside = step(vec2(0.25, 0.4), local) * step(local, 0.5 + 0.45 * dice.rg);
    vec4 ink = texture(prints, local * 0.7 + dice.rg);
    vec3 poster = dice.a > 0.5 ? mix(vec3(1.6), 1.6 * dice.rgb, 0.3)
        : mix(decode(dice.rgb), ink.rgb, ink.a);
    if (!level && inside.x * inside.y > 0.0 && dice.b > 0.52) albedo = poster;
    // SKIN.w: no ceiling but a sky with clouds.
    vec3 blue = mix(vec3(0.75, 0.85, 0.95), vec3(0.2, 0.4, 0.8), clamp(d.y / length(d), 0.0, 1.0));
    vec3 sky = mix(blue, vec3(0.9), smoothstep(0.45, 0.75, noise(uv * 0.01 + PHASE.zw).r));
    if (SKIN.w > 0.5 && level && d.y > 0.0) return sky;
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
    return COMMON + LIGHT + PATTERNS + _BACKGROUND + _BEHIND[mode]


BACKGROUND_MODES = tuple(_BEHIND)
