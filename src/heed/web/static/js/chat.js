// The live chat's keys: digits choose, Enter goes on, Ctrl+Enter sends; and how long the choice took.

import { Keys } from "./keys.js";

const IDLE_AFTER = 60_000;
const choice = document.querySelector("form[data-choice]");
const say = document.querySelector("form[data-say]");

if (choice) {
  const radios = [...choice.querySelectorAll("input[type=radio]")];
  let active = 0;
  let last = performance.now();
  const seen = () => {
    const now = performance.now();
    if (!document.hidden) active += Math.min(now - last, IDLE_AFTER);
    last = now;
  };
  for (const kind of ["pointermove", "keydown", "scroll", "visibilitychange"]) document.addEventListener(kind, seen);
  choice.addEventListener("submit", () => {
    seen();
    choice.elements.active_ms.value = String(Math.round(active));
  });
  new Keys(() => [
    ...radios.map((radio, index) => ({
      keys: [String(index + 1)],
      label: radio.labels[0]?.textContent.trim() ?? "",
      run: () => {
        radio.checked = true;
        radio.focus();
      },
    })),
    { keys: ["Enter", "Ctrl+Enter"], label: "Go on", run: () => choice.requestSubmit() },
  ]);
}

if (say) {
  new Keys(() => [{ keys: ["Ctrl+Enter"], label: "Send", typing: true, run: () => say.requestSubmit() }]);
  say.addEventListener("submit", () => {
    for (const button of say.querySelectorAll("button")) button.disabled = true;
    say.setAttribute("aria-busy", "true");
  });
}
