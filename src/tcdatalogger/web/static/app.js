"use strict";
// Shows what is new without a reload, and answers keys. All of it goes without this file too.
const main = () => document.getElementById("main");
let mark = null;

async function look() {
  if (document.querySelector("[data-still]")) return;
  try {
    const told = await fetch("/state.json", { headers: mark ? { "If-None-Match": mark } : {} });
    if (told.status === 401) return location.reload();
    if (told.status === 304) return;
    const before = mark;
    mark = told.headers.get("ETag");
    if (before === null && !document.querySelector("[data-again]")) return;
    if (main().querySelector(":focus-visible, input:focus, select:focus, textarea:focus")) {
      mark = before;  // who fills in a field or goes by keys keeps the place; later it is asked again
      return;
    }
    const page = await fetch(location.href);
    if (page.status > 404) return;
    const found = new DOMParser().parseFromString(await page.text(), "text/html").getElementById("main");
    if (!found) return;
    const open = [...document.querySelectorAll("main details")].map((each) => each.open);
    main().replaceChildren(...found.childNodes);
    document.querySelectorAll("main details").forEach((each, n) => { each.open = Boolean(open[n]); });
  } catch { /* the program has ended, or begins anew */ }
}

function again() {
  const soon = document.querySelector("[data-again]");
  setTimeout(async () => { if (!document.hidden) await look(); again(); }, soon ? 2000 : 15000);
}
look();
again();

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  button.textContent = "Copied";
});

const PAGES = { t: "/", c: "/crimes", m: "/members", w: "/war", o: "/ops", q: "/questions", s: "/sql" };
let went = false;
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return event.target.form?.requestSubmit();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const key = event.key;
  if (went && PAGES[key]) document.querySelector(`nav a[href^="${PAGES[key]}"]`)?.click();
  went = key === "g";
  const links = [...document.querySelectorAll("main a")];
  const step = { j: 1, k: -1 }[key];
  if (step) links[Math.max(0, links.indexOf(document.activeElement) + step)]?.focus();
  else if (key === "x") location.search = "";
  else if (key === "e") document.querySelector("[data-csv]")?.click();
  else if (key === "/") { event.preventDefault(); document.querySelector("input[type=search]").focus(); }
  else if (key === "?") document.getElementById("keys").showModal();
  else document.querySelector(`.periods [data-key="${CSS.escape(key)}"]`)?.click();
});
