"use strict";

// The field and what is on it, drawn by three.js. Axes are x, up, y of the game, in uu: blue defends the goal at -y.
const SIDE = 4096;
const BACK = 5120;
const CORNER = 1152; // cut off each corner
const CEILING = 2044;
const GOAL = { half: 893, height: 643, depth: 880 };
const BALL_RADIUS = 91.25;
const BODY = { length: 118, height: 36, width: 84, forward: 13.9, up: 20.8 }; // Octane's hitbox
const COLOURS = [0x2f8fff, 0xff8a1f];
const OUTLINE = [
  [SIDE, -BACK + CORNER], [SIDE, BACK - CORNER], [SIDE - CORNER, BACK], [GOAL.half, BACK],
  [-GOAL.half, BACK], [-SIDE + CORNER, BACK], [-SIDE, BACK - CORNER], [-SIDE, -BACK + CORNER],
  [-SIDE + CORNER, -BACK], [-GOAL.half, -BACK], [GOAL.half, -BACK], [SIDE - CORNER, -BACK],
]; // x, y along the walls

class Scene {
  constructor(canvas, match) {
    this.match = match;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.scene = new THREE.Scene();
    this.scene.background = new THREE.Color(0x10151d);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x404858, 2));
    const sun = new THREE.DirectionalLight(0xffffff, 1.5);
    sun.position.set(-3000, 6000, 2000);
    this.scene.add(sun);
    this.camera = new THREE.PerspectiveCamera(55, 1, 20, 40000);
    this.scene.add(field());
    this.pads = match.padPlaces.map(([x, y, big]) => this.added(pad(x, y, big === 1)));
    this.ball = this.added(ball());
    this.ballShadow = this.added(shadow(BALL_RADIUS));
    this.cars = match.team.map((team, k) => this.added(car(COLOURS[team], k + 1)));
    this.carShadows = match.team.map(() => this.added(shadow(65)));
  }

  added(object) {
    this.scene.add(object);
    return object;
  }

  resize(width, height) {
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.fov = width < height ? 85 : 55; // degrees from top to bottom
    this.camera.updateProjectionMatrix();
  }

  // Put everything where it is at a time (frames), and the camera where ``view`` wants it: behind the car ``own``, if any.
  draw(time, view, own) {
    const frame = Math.floor(time);
    this.place(this.ball, 0, time);
    this.ballShadow.position.set(this.ball.position.x, 3, this.ball.position.z);
    this.cars.forEach((one, k) => {
      this.place(one, k + 1, time);
      one.visible = !this.match.does(DEMOLISHED, k, frame);
      one.getObjectByName("flame").visible = this.match.does(BOOSTING, k, frame);
      one.getObjectByName("label").visible = k !== own;
      this.carShadows[k].position.set(one.position.x, 2, one.position.z);
      this.carShadows[k].visible = one.visible;
    });
    this.pads.forEach((one, k) => (one.getObjectByName("boost").visible = this.match.padIsReady(k, frame)));
    view(this.camera, this.ball.position, this.cars.map((one) => one.position));
    this.renderer.render(this.scene, this.camera);
  }

  // A body's own axes are forward, up, right.
  place(object, body, time) {
    const forward = new THREE.Vector3(...this.match.vector("forward", body, time)).normalize();
    const up = new THREE.Vector3(...this.match.vector("up", body, time));
    const right = new THREE.Vector3().crossVectors(forward, up).normalize();
    object.quaternion.setFromRotationMatrix(new THREE.Matrix4().makeBasis(forward, right.clone().cross(forward), right));
    object.position.set(...this.match.vector("position", body, time));
  }
}

function field() {
  const group = new THREE.Group();
  const floor = (points, colour) => {
    const shape = new THREE.Shape(points.map(([x, y]) => new THREE.Vector2(x, y)));
    const mesh = new THREE.Mesh(
      new THREE.ShapeGeometry(shape),
      new THREE.MeshLambertMaterial({ color: colour, side: THREE.DoubleSide }),
    );
    mesh.rotation.x = Math.PI / 2; // its (x, y) become (x, 0, y)
    group.add(mesh);
  };
  const half = OUTLINE.filter(([, y]) => y > 0);
  floor([[SIDE, 0], ...half, [-SIDE, 0]], 0x3a3328);
  floor([[SIDE, 0], ...half, [-SIDE, 0]].map(([x, y]) => [x, -y]), 0x283442);
  for (const [team, sign] of [[0, -1], [1, 1]]) {
    floor([[GOAL.half, BACK], [-GOAL.half, BACK], [-GOAL.half, BACK + GOAL.depth], [GOAL.half, BACK + GOAL.depth]].map(
      ([x, y]) => [x, sign * y]), COLOURS[team]);
    group.add(goal(sign, COLOURS[team]));
  }
  const lines = [];
  const line = (a, b) => lines.push(new THREE.Vector3(...a), new THREE.Vector3(...b));
  OUTLINE.forEach(([x, y], k) => {
    const [toX, toY] = OUTLINE[(k + 1) % OUTLINE.length];
    const isMouth = Math.abs(x) === GOAL.half && Math.abs(toX) === GOAL.half;
    if (!isMouth) line([x, 4, y], [toX, 4, toY]);
    line([x, CEILING, y], [toX, CEILING, toY]);
    if (Math.abs(x) !== GOAL.half) line([x, 4, y], [x, CEILING, y]);
    group.add(wall([x, y], [toX, toY], isMouth ? GOAL.height : 0));
  });
  line([-SIDE, 4, 0], [SIDE, 4, 0]);
  const circle = Array.from({ length: 65 }, (_, k) => (k * Math.PI) / 32);
  circle.slice(1).forEach((angle, k) => {
    const at = (a) => [1000 * Math.cos(a), 4, 1000 * Math.sin(a)];
    line(at(circle[k]), at(angle));
  });
  const geometry = new THREE.BufferGeometry().setFromPoints(lines);
  group.add(new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ color: 0x8fa3b8 })));
  return group;
}

function wall([x, y], [toX, toY], bottom) {
  const corners = [[x, bottom, y], [toX, bottom, toY], [toX, CEILING, toY], [x, bottom, y], [toX, CEILING, toY],
    [x, CEILING, y]];
  const geometry = new THREE.BufferGeometry().setFromPoints(corners.map((corner) => new THREE.Vector3(...corner)));
  const glass = { color: 0x9fc4e8, transparent: true, opacity: 0.06, side: THREE.DoubleSide, depthWrite: false };
  return new THREE.Mesh(geometry, new THREE.MeshBasicMaterial(glass));
}

function goal(sign, colour) {
  const box = new THREE.BoxGeometry(2 * GOAL.half, GOAL.height, GOAL.depth);
  const net = new THREE.Mesh(box, new THREE.MeshBasicMaterial({
    color: colour, transparent: true, opacity: 0.15, side: THREE.BackSide, depthWrite: false,
  }));
  net.add(new THREE.LineSegments(new THREE.EdgesGeometry(box), new THREE.LineBasicMaterial({ color: colour })));
  net.position.set(0, GOAL.height / 2, sign * (BACK + GOAL.depth / 2));
  return net;
}

function pad(x, y, isBig) {
  const group = new THREE.Group();
  const radius = isBig ? 130 : 65;
  const plate = new THREE.Mesh(
    new THREE.CylinderGeometry(radius, radius, 6, 24),
    new THREE.MeshLambertMaterial({ color: 0x6b6450 }),
  );
  const boost = new THREE.Mesh(
    isBig ? new THREE.SphereGeometry(70, 20, 12) : new THREE.CylinderGeometry(45, 45, 12, 20),
    new THREE.MeshBasicMaterial({ color: 0xffd23f }),
  );
  boost.name = "boost";
  boost.position.y = isBig ? 110 : 8;
  group.add(plate, boost);
  group.position.set(x, 4, y);
  return group;
}

function ball() {
  const group = new THREE.Group();
  group.add(new THREE.Mesh(
    new THREE.SphereGeometry(BALL_RADIUS, 32, 20),
    new THREE.MeshStandardMaterial({ color: 0xd8dde3, roughness: 0.6 }),
  ));
  const seams = new THREE.MeshBasicMaterial({ color: 0x4c5866 }); // show how it spins
  for (const turn of [[0, 0, 0], [Math.PI / 2, 0, 0], [0, Math.PI / 2, 0]]) {
    const ring = new THREE.Mesh(new THREE.TorusGeometry(BALL_RADIUS, 3, 6, 48), seams);
    ring.rotation.set(...turn);
    group.add(ring);
  }
  return group;
}

function shadow(radius) {
  const disc = new THREE.Mesh(
    new THREE.CircleGeometry(radius, 24),
    new THREE.MeshBasicMaterial({ color: 0x000000, transparent: true, opacity: 0.45, depthWrite: false }),
  );
  disc.rotation.x = -Math.PI / 2;
  return disc;
}

function car(colour, number) {
  const group = new THREE.Group();
  const paint = new THREE.MeshStandardMaterial({ color: colour, roughness: 0.5 });
  const dark = new THREE.MeshLambertMaterial({ color: 0x15181d });
  const box = (length, height, width, forward, up, material) => {
    const mesh = new THREE.Mesh(new THREE.BoxGeometry(length, height, width), material);
    mesh.position.set(forward, up, 0);
    group.add(mesh);
  };
  box(BODY.length, BODY.height * 0.6, BODY.width, BODY.forward, BODY.up - 5, paint);
  box(BODY.length * 0.5, BODY.height * 0.55, BODY.width * 0.8, BODY.forward - 14, BODY.up + 14, dark);
  box(14, 4, BODY.width * 0.9, BODY.forward - 54, BODY.up + 24, paint); // the spoiler is behind
  for (const forward of [-34, 51]) {
    for (const side of [-1, 1]) {
      const wheel = new THREE.Mesh(new THREE.CylinderGeometry(15, 15, 12, 16), dark);
      wheel.rotation.x = Math.PI / 2;
      wheel.position.set(forward, -2, side * 40);
      group.add(wheel);
    }
  }
  const flame = new THREE.Mesh(
    new THREE.ConeGeometry(16, 90, 12),
    new THREE.MeshBasicMaterial({ color: 0xffb347, transparent: true, opacity: 0.85 }),
  );
  flame.name = "flame";
  flame.rotation.z = Math.PI / 2; // its tip points backwards
  flame.position.set(BODY.forward - BODY.length / 2 - 45, BODY.up - 4, 0);
  group.add(flame, label(String(number), colour));
  return group;
}

// A number that floats above a car and always faces the camera.
function label(text, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = canvas.getContext("2d");
  context.fillStyle = `#${colour.toString(16).padStart(6, "0")}`;
  context.beginPath();
  context.arc(32, 32, 30, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.font = "bold 44px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, 32, 34);
  const texture = new THREE.CanvasTexture(canvas);
  texture.colorSpace = THREE.SRGBColorSpace;
  const sprite = new THREE.Sprite(new THREE.SpriteMaterial({ map: texture }));
  sprite.name = "label";
  sprite.scale.set(110, 110, 1);
  sprite.position.y = 170;
  return sprite;
}
