// Many points in one draw call: WebGL 2, or a plain canvas where there is none.

import { COLOURS, HIDDEN, MOST, OTHERS, SHADE, SHADES, colourOf, css } from "./palette.js";

export const [SELECTED, LABELLED, HELD] = [1, 2, 4];

const VERTEX = `#version 300 es
in vec2 place;
in uvec2 look;  // style, flags
uniform vec4 view;  // scale x, scale y, shift x, shift y, in clip space
uniform float size;
uniform vec3 colours[${COLOURS + SHADES + 4}];
flat out int shape;
flat out vec3 colour;
flat out vec4 edge;
flat out float alpha;
void main() {
  int style = int(look.x), flags = int(look.y);
  bool named = style < ${MOST}, shaded = style >= ${SHADE} && style < ${SHADE + SHADES};
  shape = named ? (style + style / ${COLOURS}) % 8 : 0;
  int at = named ? style % ${COLOURS} : shaded ? ${COLOURS} + style - ${SHADE} : ${COLOURS + SHADES} + (style == ${OTHERS} ? 0 : 1);
  colour = colours[at];
  bool selected = (flags & ${SELECTED}) != 0, labelled = (flags & ${LABELLED}) != 0;
  edge = vec4(selected ? colours[${COLOURS + SHADES + 2}] : colours[${COLOURS + SHADES + 3}], selected || labelled ? 0.30 : 0.16);
  alpha = named || shaded || selected ? 1.0 : 0.85;
  float factor = named || shaded ? 1.0 : 0.72;
  gl_PointSize = size * factor * (selected ? 1.5 : labelled ? 1.7 : 1.0);
  gl_Position = style == ${HIDDEN} ? vec4(2.0, 2.0, 2.0, 1.0) : vec4(place * view.xy + view.zw, selected ? -0.2 : labelled ? -0.1 : 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
flat in int shape;
flat in vec3 colour;
flat in vec4 edge;
flat in float alpha;
out vec4 made;
float box(vec2 p, vec2 b) { vec2 d = abs(p) - b; return max(d.x, d.y); }
float triangle(vec2 p) { return max(abs(p.x) * 0.9 + p.y * 0.45 - 0.38, -p.y - 0.72); }
float outside(vec2 p) {
  if (shape == 1) return box(p, vec2(0.74));
  if (shape == 2) return triangle(p);
  if (shape == 3) return (abs(p.x) + abs(p.y) - 0.98) * 0.75;
  if (shape == 4) return min(box(p, vec2(0.92, 0.36)), box(p, vec2(0.36, 0.92)));
  if (shape == 5) return triangle(vec2(p.x, -p.y));
  if (shape == 6) return box(p, vec2(0.95, 0.46));
  if (shape == 7) return abs(length(p) - 0.62) - 0.3;
  return length(p) - 0.86;
}
// an edge takes from the inside of a shape: thin ones keep most of their stroke
float widest() { return shape == 7 ? 0.1 : shape == 4 ? 0.14 : shape == 2 || shape > 4 ? 0.16 : 1.0; }
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float d = outside(vec2(p.x, -p.y)), soft = 0.12;
  float cover = 1.0 - smoothstep(-soft, soft, d);
  if (cover < 0.02) discard;
  float wide = min(edge.a, widest());
  float inner = 1.0 - smoothstep(-wide - soft, -wide + soft, d);
  float a = cover * alpha;
  made = vec4(mix(edge.rgb, colour, inner) * a, a);
}`;

export function pointSize(count) {
  return Math.max(3.6, Math.min(11, 17.6 - 2.8 * Math.log10(Math.max(count, 10))));
}

export function makePoints(canvas, redraw = () => {}) {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true });
  return gl ? withWebGL(canvas, gl, redraw) : plain(canvas);
}

function programOf(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "place");
  gl.bindAttribLocation(program, 1, "look");
  gl.linkProgram(program);
  return program;
}

function withWebGL(canvas, gl, redraw) {
  const at = {};
  const given = { places: new Float32Array(), looks: new Uint8Array(), colours: [] };
  function begin() {
    const program = programOf(gl);
    gl.useProgram(program);
    for (const name of ["view", "size", "colours"]) at[name] = gl.getUniformLocation(program, name);
    [at.places, at.looks] = [gl.createBuffer(), gl.createBuffer()];
    gl.enableVertexAttribArray(0);
    gl.enableVertexAttribArray(1);
    gl.bindBuffer(gl.ARRAY_BUFFER, at.places);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, at.looks);
    gl.vertexAttribIPointer(1, 2, gl.UNSIGNED_BYTE, 0, 0);
    gl.enable(gl.BLEND);
    gl.enable(gl.DEPTH_TEST);  // selected and labelled clips lie above the others
    gl.depthFunc(gl.LEQUAL);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }
  function fill(buffer, values) {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
  }
  const points = {
    setPlaces(values) { given.places = values; fill(at.places, values); },
    setLooks(values) { given.looks = values; fill(at.looks, values); },
    setColours(values) { given.colours = values; gl.uniform3fv(at.colours, values.flat()); },
    draw({ scale, x, y, width, height, ratio, dot }) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniform4f(at.view, 2 * scale / width, 2 * scale / height, 2 * x / width - 1, 1 - 2 * y / height);
      gl.uniform1f(at.size, dot * ratio);
      gl.drawArrays(gl.POINTS, 0, given.places.length / 2);
    },
  };
  // a graphics driver that was started anew, or a machine that slept, has lost everything
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => {
    begin();
    points.setPlaces(given.places);
    points.setLooks(given.looks);
    points.setColours(given.colours);
    redraw();
  });
  begin();
  return points;
}

function plain(canvas) {
  const brush = canvas.getContext("2d");
  let [places, looks, colours] = [new Float32Array(), new Uint8Array(), []];
  return {
    setPlaces(values) { places = values; },
    setLooks(values) { looks = values; },
    setColours(values) { colours = values; },
    draw({ scale, x, y, ratio, dot }) {
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      brush.clearRect(0, 0, canvas.width, canvas.height);
      for (let one = 0; one < places.length / 2; one++) {
        if (looks[2 * one] === HIDDEN) continue;
        const own = dot * (looks[2 * one + 1] & (SELECTED | LABELLED) ? 1.4 : 1);
        brush.fillStyle = css(colourOf(looks[2 * one], colours));
        brush.fillRect(x + places[2 * one] * scale - own / 2, y - places[2 * one + 1] * scale - own / 2, own, own);
      }
    },
  };
}
