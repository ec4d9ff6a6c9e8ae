"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const block = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
for (const head of document.querySelectorAll(".trials thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  head.classList.add("sortable");
  button.addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const key = (row) => row.children[head.cellIndex].dataset.v;
    body.append(...[...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return x === "" || y === "" ? (x === "") - (y === "") : sign * compare(x, y);
    }));
  });
}

const marks = {};
for (const mark of document.querySelectorAll("[data-t]")) (marks[mark.dataset.t] ??= []).push(mark);
let lit = null;
const light = (number) => {
  if (number === lit) return;
  for (const mark of marks[lit] ?? []) mark.classList.remove("on");
  for (const mark of marks[number] ?? []) mark.classList.add("on");
  document.body.classList.toggle("lit", number !== null);
  lit = number;
};
document.addEventListener("mouseover", (event) => light(event.target.closest("[data-t]")?.dataset.t ?? null));
document.addEventListener("click", (event) => {
  const number = event.target.closest("svg [data-t]")?.dataset.t;
  if (number !== undefined) location.hash = `trial-${number}`;
});
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
