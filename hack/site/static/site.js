"use strict";

const base = new URL(".", document.currentScript.src); // wherever the site is published

// Light and dark.
document.getElementById("site-theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page only */ }
});

// On a narrow screen, the list of pages is closed at first.
if (matchMedia("(max-width: 55rem)").matches) document.querySelector(".navigation").open = false;

// A copy button for each block of code.
for (const pre of document.querySelectorAll("article pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.innerText.trimEnd());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
      getSelection().selectAllChildren(pre);
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const box = document.createElement("div");
  box.className = "code";
  pre.replaceWith(box);
  pre.tabIndex = 0; // so that it can also be scrolled sideways with a keyboard
  box.append(pre, button);
}

// Search: the index is loaded when the field is first used.
const field = document.getElementById("site-search");
const results = document.getElementById("site-results");
let index;

async function load() {
  index ??= fetch(new URL("search.json", base)).then((answer) => answer.json());
  return index;
}

function count(text, part) {
  return text.toLowerCase().split(part).length - 1;
}

// A page must contain all words. Words in its title and headings count more, and adjacent words count most.
function score(page, words) {
  const phrase = words.join(" ");
  let sum = 20 * count(page.title, phrase) + 10 * page.headings.filter((h) => count(h, phrase) > 0).length + Math.min(30, count(page.text, phrase));
  for (const word of words) {
    const title = count(page.title, word) > 0 ? 20 : 0;
    const headings = Math.min(20, 5 * page.headings.filter((h) => count(h, word) > 0).length);
    const text = Math.min(10, count(page.text, word));
    if (title + headings + text === 0) return 0;
    sum += title + headings + text;
  }
  return sum;
}

function excerpt(page, words) {
  const text = page.text.toLowerCase();
  const at = [words.join(" "), ...words].map((part) => text.indexOf(part)).find((place) => place >= 0) ?? -1;
  return at < 0 ? "" : "… " + page.text.slice(Math.max(0, at - 50), at + 90).replace(/^\S*\s|\s\S*$/g, "").replace(/\s+/g, " ") + " …";
}

async function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const pages = await load();
  const found = words.length === 0 ? [] : pages
    .map((page) => ({ page, score: score(page, words) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, 8);
  results.replaceChildren(...found.map(({ page }) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = new URL(page.url, base);
    const title = document.createElement("strong");
    title.textContent = page.title;
    const text = document.createElement("span");
    text.textContent = excerpt(page, words);
    link.append(title, text);
    item.append(link);
    return item;
  }));
  if (words.length > 0 && found.length === 0) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = "Nothing found";
    results.append(item);
  }
  results.hidden = words.length === 0;
}

field.addEventListener("focus", load, { once: true });
field.addEventListener("input", search);

// The arrows walk through the results, Escape closes them, / goes to the field.
document.querySelector(".search").addEventListener("keydown", (event) => {
  const stops = [field, ...results.querySelectorAll("a")];
  const at = stops.indexOf(document.activeElement);
  if (event.key === "Escape") {
    results.hidden = true;
    field.focus();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    stops[(at + (event.key === "ArrowDown" ? 1 : stops.length - 1)) % stops.length].focus();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    field.focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search")) results.hidden = true;
});
