// Time at work on one task. It is active while the page is visible and in front and something was pressed or moved
// within the last minute; everything else is idle. Kept with the task, never added up over drafts.

const QUIET = 60_000;
const ASLEEP = 10_000;
const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel", "input", "touchstart"];

export class Clock {
  #mark = performance.now();
  #sign = performance.now();
  #running = false;

  constructor() {
    this.reset();
    for (const name of SIGNS) document.addEventListener(name, (event) => this.#act(event), { capture: true, passive: true });
    for (const name of ["visibilitychange", "focus", "blur"]) globalThis.addEventListener(name, () => this.#tick());
    setInterval(() => this.#tick(), 1000);
  }

  /** Milliseconds since anything was done. */
  get quiet() {
    return performance.now() - this.#sign;
  }

  /** Begin a task, or go on with one. */
  reset(kept = {}) {
    this.active = kept.active_ms ?? 0;
    this.idle = kept.idle_ms ?? 0;
    this.first = kept.first_input_at ?? null;
    this.#mark = this.#sign = performance.now();
    this.#running = true;
  }

  stop() {
    this.#tick();
    this.#running = false;
  }

  read() {
    this.#tick();
    return { active_ms: Math.round(this.active), idle_ms: Math.round(this.idle), first_input_at: this.first };
  }

  #act(event) {
    this.#tick();
    this.#sign = performance.now();
    const meant = event.type !== "pointermove" && event.type !== "wheel";
    if (meant && this.#running && this.first === null) this.first = new Date().toISOString();
  }

  #tick() {
    const now = performance.now();
    const passed = now - this.#mark;
    this.#mark = now;
    if (!this.#running) return;
    const here = !document.hidden && document.hasFocus();
    if (here && now - this.#sign <= QUIET && passed < ASLEEP) this.active += passed;
    else this.idle += passed;
  }
}
