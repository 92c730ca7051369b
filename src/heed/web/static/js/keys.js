// Keys of a page. A plain letter means what the page in front says; with Shift the commands of every page are always
// there. Nothing fires while one types, composes, or has a dialog open.

import { h } from "./html.js";

const TEXT_INPUTS = new Set(["text", "search", "password", "number", "email", "url", "date", "time", ""]);

/** Whether keys pressed there are text. */
export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && TEXT_INPUTS.has(target.getAttribute("type") ?? "");
}

/** The name of a key press: "a", "Shift+J", "Ctrl+Enter", "1", "=". Ctrl stands for the Command key too. */
export function keyName(event) {
  const letter = /^\p{L}$/u.test(event.key);
  const key = event.key === " " ? "Space" : letter ? event.key.toLowerCase() : event.key;
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey) return `Alt+${key}`;
  if (control) return `Ctrl+${event.shiftKey && letter ? "Shift+" : ""}${key}`;
  return event.shiftKey && letter ? `Shift+${key.toUpperCase()}` : key;
}

/**
 * Keys from functions that give lists of {keys, label, run, typing, repeat}; earlier lists win. `run` gets the key name.
 * A binding with `typing` also works in a text box; one with `repeat` while the key is held.
 */
export class Keys {
  #sources;

  constructor(...sources) {
    this.#sources = sources;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  get bindings() {
    return this.#sources.flatMap((source) => source());
  }

  #press(event) {
    if (event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const name = keyName(event);
    const target = event.target;
    const typing = isTyping(target);
    const native = target instanceof HTMLElement && target.closest("button, a, summary");
    if (native && (name === "Enter" || name === "Space")) return;
    if (target instanceof HTMLInputElement && target.type === "radio" && name.startsWith("Arrow")) return;
    const found = this.bindings.find((one) => one.keys.includes(name) && (!typing || one.typing));
    if (!found) return;
    event.preventDefault();
    if (event.repeat && !found.repeat) return;
    found.run(name, event);
  }

  /** The sheet of keys as a table: what works now. */
  sheet() {
    const taken = new Set();
    const rows = [];
    for (const one of this.bindings) {
      const keys = one.keys.filter((key) => !taken.has(key));
      one.keys.forEach((key) => taken.add(key));
      if (one.label && keys.length) rows.push([one.shown ?? keys, one.label]);
    }
    const cap = (key) => key.split("+").map((part) => h("kbd", {}, CAPS[part] ?? (part.length === 1 ? part.toUpperCase() : part)));
    return h(
      "table.table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Key"), h("th", { scope: "col" }, "Does"))),
      h("tbody", {}, rows.map(([keys, label]) => h("tr", {}, h("td.keys", {}, keys.map((key) => h("span", {}, cap(key)))), h("td", {}, label)))),
    );
  }
}

const CAPS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Space: "Space", "…": "…" };
