// How elements are made. Text goes in as text nodes; HTML, which only the server's sanitiser makes, through one policy.

const policy = globalThis.trustedTypes
  ? globalThis.trustedTypes.createPolicy("heed", { createHTML: (html) => html })
  : { createHTML: (html) => html };

/** Put HTML that the server has sanitised into an element. Nothing else in the studio writes HTML. */
export function setRich(element, html) {
  element.innerHTML = policy.createHTML(html);
  return element;
}

/** Put a whole page that this server sent into a document that runs nothing, and return it. */
export function parsePage(html) {
  return new DOMParser().parseFromString(policy.createHTML(html), "text/html");
}

/** An element: h("button.primary", {type: "button", onclick: f}, "Text", child, ...). Names in `on…` are listeners. */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in properties) element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const properties = { value: 1, checked: 1, disabled: 1, hidden: 1, htmlFor: 1, open: 1 };

let serial = 0;
/** An id that no other element has. */
export function freshId(prefix) {
  serial += 1;
  return `${prefix}-${serial}`;
}

/** What a page says about itself in a meta element. */
export function meta(name) {
  return document.querySelector(`meta[name="${name}"]`)?.content ?? "";
}

/** A path of this server, below the prefix under which it is reached. */
export function path(rest) {
  return meta("heed-base").replace(/\/$/, "") + rest;
}

let spoken = 0;
/** Say something to people who listen to the page. */
export function announce(text) {
  const place = document.getElementById("announcer");
  if (!place) return;
  spoken += 1; // the same words twice are still news
  place.textContent = text + (spoken % 2 ? "" : "\u00a0");
}
