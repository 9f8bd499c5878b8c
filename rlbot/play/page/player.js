"use strict";

// The page: what plays, how fast, seen from where, and what stands around it.
const $ = (id) => document.getElementById(id);
const JUMP_SECONDS = 5;
const GOAL_SECONDS = 1.5; // how long a goal is called out
const MOST_MILLISECONDS = 100; // between two pictures: a tab that nobody looks at draws none
const SPEEDS = ["0.25", "0.5", "1", "2", "4"];

const match = new Match(JSON.parse($("packed").textContent));
const last = match.frames - 1;
const state = { time: 0, isPlaying: true, speed: 1, view: "side", car: null, angle: 0, height: 0.5, distance: 6200 };

// Where the camera stands: beside the field, above it, or behind a car that looks at the ball.
const VIEWS = {
  side(camera, ball) {
    const [angle, height] = [state.angle, state.height];
    const way = new THREE.Vector3(-Math.cos(angle) * Math.cos(height), Math.sin(height), Math.sin(angle) * Math.cos(height));
    const target = new THREE.Vector3(ball.x * 0.4, ball.y * 0.4, ball.z * 0.75);
    camera.up.set(0, 1, 0);
    camera.position.copy(target).addScaledVector(way, state.distance);
    camera.lookAt(target);
  },
  top(camera) {
    camera.up.set(1, 0, 0);
    camera.position.set(0, state.distance * 1.6, 0);
    camera.lookAt(0, 0, 0);
  },
  car(camera, ball, cars) {
    const own = cars[state.car];
    const back = new THREE.Vector3(own.x - ball.x, 0, own.z - ball.z);
    if (back.lengthSq() < 1) back.set(0, 0, match.team[state.car] ? 1 : -1);
    camera.up.set(0, 1, 0);
    camera.position.copy(own).addScaledVector(back.normalize(), 420);
    camera.position.y = Math.max(own.y + 180, 60);
    camera.lookAt(ball.x, ball.y * 0.8 + own.y * 0.2, ball.z);
  },
};

function goTo(time) {
  state.time = Math.max(0, Math.min(time, last));
}

function play(isPlaying) {
  if (isPlaying && state.time >= last) goTo(0);
  state.isPlaying = isPlaying;
}

function choose(view) {
  state.view = view.startsWith("car") ? "car" : view;
  state.car = state.view === "car" ? Number(view.slice(3)) : null;
  $("view").value = view;
}

function setUp() {
  document.title = `${match.names[0]} : ${match.names[1]}`;
  ["blue", "orange"].forEach((colour, team) => {
    $(`${colour}-name`).textContent = match.names[team];
    $(`${colour}-name`).title = match.names[team];
  });
  match.team.forEach((team, car) => {
    const option = new Option(`car ${car + 1}`, `car${car}`);
    $("view").append(option);
    const row = $("car").content.cloneNode(true).firstElementChild;
    row.classList.add(team ? "orange" : "blue");
    row.querySelector("b").textContent = car + 1;
    row.addEventListener("click", () => choose(`car${car}`));
    $(team ? "orange-cars" : "blue-cars").append(row);
  });
  $("speed").append(...SPEEDS.map((speed) => new Option(`${speed}x`, speed, speed === "1", speed === "1")));
  $("time").max = last;
  for (const [frame, team] of match.goals) {
    const mark = document.createElement("button");
    mark.className = team ? "orange" : "blue";
    mark.title = `goal at ${match.clock(frame)}`;
    mark.style.left = `${(100 * frame) / last}%`;
    mark.addEventListener("click", () => goTo(frame - JUMP_SECONDS / match.stepSeconds));
    $("goals").append(mark);
  }
  $("play").addEventListener("click", () => play(!state.isPlaying));
  $("time").addEventListener("input", () => goTo(Number($("time").value)));
  $("speed").addEventListener("change", () => (state.speed = Number($("speed").value)));
  $("view").addEventListener("change", () => choose($("view").value));
  document.addEventListener("keydown", onKey);
  // What was chosen by mouse gives the keys back to the match; who came by Tab stays where they are.
  document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
  for (const id of ["speed", "view"]) $(id).addEventListener("change", () => $(id).matches(":focus-visible") || $(id).blur());
  listenToDragging($("field"));
  $("field").addEventListener("wheel", (event) => {
    event.preventDefault();
    state.distance = Math.max(1500, Math.min(state.distance * Math.exp(event.deltaY / 1000), 20000));
  }, { passive: false });
  const asked = /^#t=(\d+)$/.exec(location.hash); // match.html#t=95 begins there
  if (asked) goTo(Number(asked[1]) / match.stepSeconds);
  choose("side");
}

function listenToDragging(field) {
  let held = null; // the pointer that drags, and where it was
  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    held = event;
  });
  field.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held?.pointerId) return;
    state.angle -= (event.clientX - held.clientX) / 300;
    state.height = Math.max(0.05, Math.min(state.height + (event.clientY - held.clientY) / 300, 1.5));
    held = event;
  });
  for (const end of ["pointerup", "pointercancel"]) field.addEventListener(end, () => (held = null));
}

function onKey(event) {
  const jump = JUMP_SECONDS / match.stepSeconds;
  const keys = {
    " ": () => event.repeat || play(!state.isPlaying),
    ArrowLeft: () => goTo(state.time - jump),
    ArrowRight: () => goTo(state.time + jump),
    ",": () => (play(false), goTo(Math.ceil(state.time) - 1)),
    ".": () => (play(false), goTo(Math.floor(state.time) + 1)),
    0: () => choose("side"),
    t: () => choose("top"),
  };
  match.team.forEach((_, car) => (keys[car + 1] = () => choose(`car${car}`)));
  const isForItself = event.target.tagName === "SELECT" || (event.key === " " && event.target.closest("button"));
  if (event.ctrlKey || event.metaKey || event.altKey || isForItself || !(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
}

function tell(frame) {
  const score = match.score(frame);
  $("blue-score").textContent = score[0];
  $("orange-score").textContent = score[1];
  $("clock").textContent = match.clock(frame);
  document.querySelectorAll(".car").forEach((row) => {
    const car = Number(row.querySelector("b").textContent) - 1;
    const boost = match.boost(car, frame);
    row.querySelector("meter").value = boost;
    row.querySelector("i").textContent = match.does(DEMOLISHED, car, frame) ? "demolished" : `${boost} boost`;
    row.querySelector("u").textContent = `${match.touchesOf(car, frame)} touches`;
    row.classList.toggle("chosen", state.car === car);
  });
  const recent = match.goals.find(([when]) => when <= frame && frame < when + GOAL_SECONDS / match.stepSeconds);
  const isOver = frame === last;
  $("call").textContent = isOver ? `${score[0]} : ${score[1]}` : recent ? "GOAL" : "";
  $("call").className = isOver ? "" : recent ? (recent[1] ? "orange" : "blue") : "";
  $("play").textContent = state.isPlaying ? "\u275a\u275a" : "\u25b6";
  $("time").value = frame;
}

function run() {
  const scene = new Scene($("field"), match);
  let before = performance.now();
  let told = -1;
  let size = "";
  const step = (now) => {
    const passed = Math.max(0, Math.min(now - before, MOST_MILLISECONDS)) / 1000;
    if (state.isPlaying) goTo(state.time + passed * (state.speed / match.stepSeconds));
    if (state.isPlaying && state.time >= last) play(false);
    before = now;
    const { clientWidth, clientHeight } = $("field");
    if (size !== (size = `${clientWidth} ${clientHeight}`)) scene.resize(clientWidth, clientHeight);
    scene.draw(state.time, VIEWS[state.view], state.car);
    const shown = `${Math.floor(state.time)} ${state.view} ${state.car} ${state.isPlaying}`;
    if (told !== (told = shown)) tell(Math.floor(state.time));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

setUp();
try {
  run();
} catch (error) {
  $("call").textContent = "This browser cannot draw in 3D (WebGL): try another one, or turn on hardware acceleration";
  throw error;
}
