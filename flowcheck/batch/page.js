"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.parentElement, down = head.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const rows = Array.from(body.rows).sort((a, b) => key(a).localeCompare(key(b), undefined, { numeric: true }));
    body.append(...(down ? rows.reverse() : rows));
  }));
}
const text = document.getElementById("text"), verdict = document.getElementById("verdict"), shown = document.getElementById("shown");
function filter() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of document.getElementById("captures").tBodies[0].rows) {
    const all = row.textContent.toLowerCase();
    row.hidden = !(words.every(word => all.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value));
    count += !row.hidden;
  }
  shown.textContent = count + " shown";
  history.replaceState(null, "", "#" + new URLSearchParams({ text: text.value, verdict: verdict.value }));
}
const state = new URLSearchParams(location.hash.slice(1));
text.value = state.get("text") || ""; verdict.value = state.get("verdict") || "";
text.addEventListener("input", filter); verdict.addEventListener("change", filter);
if (text.value || verdict.value) filter();
