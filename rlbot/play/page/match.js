"use strict";

// A match as rlbot.play.replay packs it. A frame is one step of the simulation; times are counted in frames and may lie
// between two: there everything moves along a line, except into a kickoff, where all jump to their places.
const DEMOLISHED = 1;
const BOOSTING = 2;

class Match {
  constructor(packed) {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const shorts = (text) => new Int16Array(bytes(text).buffer);
    this.names = packed.names;
    this.mode = packed.mode;
    this.team = packed.team;
    this.padPlaces = packed.pad_places;
    this.stepSeconds = packed.step_seconds;
    this.regularSeconds = Math.round(packed.regular_seconds / packed.step_seconds) * packed.step_seconds; // whole steps
    this.goals = packed.goals;
    this.touches = packed.touches;
    this.kickoffs = packed.kickoffs;
    this.arrays = { position: shorts(packed.position), forward: shorts(packed.forward), up: shorts(packed.up) };
    this.units = { position: packed.length, forward: 1 / 32767, up: 1 / 32767 };
    this.boosts = bytes(packed.boost);
    this.deeds = bytes(packed.deeds);
    this.pads = bytes(packed.pads);
    this.bodies = 1 + this.team.length; // the ball, then the cars
    this.frames = this.deeds.length / this.team.length;
    this.isKickoff = new Uint8Array(this.frames);
    for (const frame of this.kickoffs) this.isKickoff[frame] = 1;
  }

  // One of "position" (uu), "forward" and "up" of a body at a time: [x, up, y].
  vector(kind, body, time) {
    const frame = Math.min(Math.floor(time), this.frames - 1);
    const following = Math.min(frame + 1, this.frames - 1);
    const share = this.isKickoff[following] ? 0 : time - frame;
    const array = this.arrays[kind];
    const here = 3 * (frame * this.bodies + body);
    const there = 3 * (following * this.bodies + body);
    return [0, 1, 2].map((k) => this.units[kind] * (array[here + k] * (1 - share) + array[there + k] * share));
  }

  boost(car, frame) {
    return this.boosts[frame * this.team.length + car];
  }

  does(deed, car, frame) {
    return (this.deeds[frame * this.team.length + car] & deed) !== 0;
  }

  padIsReady(pad, frame) {
    const width = Math.ceil(this.padPlaces.length / 8);
    return ((this.pads[frame * width + (pad >> 3)] >> (7 - (pad & 7))) & 1) === 1;
  }

  // Goals of blue and orange so far.
  score(frame) {
    const score = [0, 0];
    for (const [when, team] of this.goals) if (when <= frame) score[team] += 1;
    return score;
  }

  touchesOf(car, frame) {
    return this.touches.filter(([when, who]) => who === car && when <= frame).length;
  }

  // Seconds of the game's clock so far: a kickoff takes none.
  seconds(frame) {
    return (frame + 1 - this.kickoffs.filter((when) => when <= frame).length) * this.stepSeconds;
  }

  // What the clock shows: it runs down, and up again in overtime.
  clock(frame) {
    const left = this.regularSeconds - this.seconds(frame);
    const whole = left > -1e-6 ? Math.ceil(left - 1e-6) : Math.floor(-left + 1e-6);
    const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    return left > -1e-6 ? text : `+${text}`;
  }
}
