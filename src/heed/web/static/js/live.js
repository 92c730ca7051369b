// Parts of a page that the server draws anew: <div data-live="/path" data-every="2000">. It stops when the fragment
// comes back with an element [data-settled], and rests while the page is hidden.

import { parsePage } from "./html.js";

const SLOWEST = 30_000;

async function refresh(place, pause) {
  if (!place.isConnected) return;
  let wait = pause;
  if (!document.hidden) {
    try {
      const response = await fetch(place.dataset.live, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (response.status === 401 || response.status === 404) return;
      if (!response.ok || response.redirected) throw new Error(String(response.status));
      const text = await response.text();
      if (text !== place.heedSeen) {
        place.heedSeen = text;
        place.replaceChildren(...parsePage(text).body.childNodes);
        place.dispatchEvent(new CustomEvent("heed:fragment", { bubbles: true }));
      }
      place.removeAttribute("data-stale");
      if (place.querySelector("[data-settled]")) return;
    } catch {
      place.setAttribute("data-stale", "");
      wait = Math.min(pause * 2, SLOWEST);
    }
  }
  const every = Number(place.dataset.every) || 2000;
  setTimeout(() => refresh(place, wait > every ? wait : every), wait);
}

for (const place of document.querySelectorAll("[data-live]")) {
  const every = Number(place.dataset.every) || 2000;
  setTimeout(() => refresh(place, every), every);
}
