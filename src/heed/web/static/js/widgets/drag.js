// Dragging with a mouse, a pen or a finger, by pointer events: a handle is taken up, and let go over a target.

import { h } from "../html.js";

const THRESHOLD = 6;
const EDGE = 60;

/** Make `handle` draggable. `targetAt(element)` finds what lies under the pointer; `drop(target)` gets the last one. */
export function draggable(handle, { label, targetAt, drop }) {
  handle.classList.add("handle");
  handle.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    let ghost = null;
    let target = null;
    const over = (next) => {
      if (next === target) return;
      target?.classList.remove("drop-here");
      target = next;
      target?.classList.add("drop-here");
    };
    const move = (event) => {
      if (event.pointerId !== down.pointerId) return;
      if (!ghost) {
        if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < THRESHOLD) return;
        ghost = h("div.ghost", { "aria-hidden": "true" }, label);
        document.body.append(ghost);
        document.body.classList.add("dragging");
        handle.setPointerCapture(down.pointerId);
      }
      event.preventDefault();
      ghost.style.transform = `translate(${event.clientX + 8}px, ${event.clientY + 8}px)`;
      if (event.clientY < EDGE) scrollBy(0, -12);
      else if (event.clientY > innerHeight - EDGE / 4) scrollBy(0, 12);
      over(targetAt(document.elementFromPoint(event.clientX, event.clientY)));
    };
    const end = (event) => {
      if (event.pointerId !== down.pointerId) return;
      for (const [name, listener] of listeners) document.removeEventListener(name, listener);
      document.body.classList.remove("dragging");
      const dropped = ghost && event.type === "pointerup" ? target : null;
      const moved = Boolean(ghost);
      ghost?.remove();
      over(null);
      if (dropped) drop(dropped);
      if (moved) addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }), 0);
    };
    const listeners = [["pointermove", move], ["pointerup", end], ["pointercancel", end]];
    for (const [name, listener] of listeners) document.addEventListener(name, listener);
  });
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}
