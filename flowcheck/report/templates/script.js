
"use strict";
(function () {
  // Everything here is a convenience: without it the page shows the same, unfiltered.
  var byId = function (id) { return document.getElementById(id); };
  var all = function (css, from) { return Array.prototype.slice.call((from || document).querySelectorAll(css)); };
  document.documentElement.classList.add("scripted");

  // ---- packed attempts: base64 of zlib of HTML that the report's own writer escaped
  function unpack(body) {
    var packed = body.getAttribute("data-packed");
    if (!packed || typeof DecompressionStream === "undefined") { return Promise.resolve(""); }
    var octets = Uint8Array.from(atob(packed), function (c) { return c.charCodeAt(0); });
    var stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }
  function fill(attempt) {
    var body = attempt.querySelector(".body[data-packed]");
    if (!body) { return Promise.resolve(); }
    return unpack(body).then(function (text) {
      if (text) { body.removeAttribute("data-packed"); body.innerHTML = text; }
    });
  }
  var attempts = all(".attempt");
  attempts.forEach(function (attempt) {
    attempt.addEventListener("toggle", function () { if (attempt.open) { fill(attempt); } });
  });

  // ---- the address: #anchor?verdict=fail&q=text
  var fields = {};
  ["q", "verdict", "device", "procedure", "step", "protocol"].forEach(function (name) {
    var field = byId("f-" + name);
    if (field) { fields[name] = field; }
  });
  function parts() {
    var hash = location.hash.slice(1), cut = hash.indexOf("?");
    return { anchor: decode(cut < 0 ? hash : hash.slice(0, cut)), query: new URLSearchParams(cut < 0 ? "" : hash.slice(cut + 1)) };
  }
  function decode(text) { try { return decodeURIComponent(text); } catch (error) { return text; } }
  function address(anchor) {
    var query = new URLSearchParams();
    Object.keys(fields).forEach(function (name) { if (fields[name].value) { query.set(name, fields[name].value); } });
    var text = query.toString();
    return "#" + anchor + (text ? "?" + text : "");
  }
  function remember(anchor) {
    try { history.replaceState(null, "", address(anchor)); } catch (error) { location.hash = address(anchor); }
  }
  function show(anchor) {
    if (!anchor) { return; }
    var owner = byId(anchor.split(".").slice(0, 2).join("."));
    var ready = owner && owner.classList.contains("attempt") ? fill(owner) : Promise.resolve();
    ready.then(function () {
      var target = byId(anchor), node = target;
      if (!target) { return; }
      for (; node; node = node.parentElement) { if (node.tagName === "DETAILS") { node.open = true; } }
      target.scrollIntoView();
      all(".here").forEach(function (old) { old.classList.remove("here"); });
      target.classList.add("here");
    });
  }
  window.addEventListener("hashchange", function () { show(parts().anchor); });

  // ---- search and filters
  var texts = new Map();
  function textOf(attempt) {
    if (!texts.has(attempt)) {
      var body = attempt.querySelector(".body[data-packed]");
      var own = attempt.querySelector("summary").textContent + " " + attempt.closest(".device").querySelector(".identity").textContent;
      texts.set(attempt, (body ? unpack(body).then(function (html) {
        return new DOMParser().parseFromString(html, "text/html").body.textContent;
      }) : Promise.resolve(attempt.textContent)).then(function (text) { return (own + " " + text).toLowerCase(); }));
    }
    return texts.get(attempt);
  }
  function value(name) { return fields[name] ? fields[name].value : ""; }
  function plainly(attempt) {
    var data = attempt.dataset, has = function (list, one) { return (" " + list + " ").indexOf(" " + one + " ") >= 0; };
    return (!value("verdict") || data.verdict === value("verdict")) && (!value("device") || data.device === value("device")) &&
      (!value("procedure") || data.procedure === value("procedure")) && (!value("step") || has(data.steps, value("step"))) &&
      (!value("protocol") || has(data.protocols, value("protocol")));
  }
  // attempts that are not on this page have their row of the index
  var briefs = all(".index .chip[data-verdict]");
  function briefly(chip, needle) {
    return plainly(chip) && (!needle || chip.closest("tr").textContent.toLowerCase().indexOf(needle) >= 0);
  }
  var run = 0;
  function filter() {
    var mine = ++run, needle = value("q").trim().toLowerCase();
    var asked = Object.keys(fields).some(function (name) { return value(name).trim(); });
    return Promise.all(attempts.map(function (attempt) {
      if (!plainly(attempt)) { return false; }
      return needle ? textOf(attempt).then(function (text) { return text.indexOf(needle) >= 0; }) : true;
    })).then(function (shown) {
      if (mine !== run) { return; }
      var count = 0, devices = {}, rows = {}, every = attempts.length + briefs.length;
      attempts.forEach(function (attempt, i) {
        attempt.hidden = !shown[i];
        if (shown[i]) { count += 1; devices[attempt.dataset.device] = rows[attempt.dataset.device] = true; }
      });
      briefs.forEach(function (chip) {
        if (briefly(chip, needle)) { count += 1; rows[chip.dataset.device] = true; }
      });
      all(".device").forEach(function (device) { device.hidden = asked && !devices[device.id]; });
      all(".index tr[data-device]").forEach(function (row) { row.hidden = asked && !rows[row.dataset.device]; });
      byId("none").hidden = count > 0 || !every;
      var output = byId("f-count");
      if (output) { output.textContent = count === every ? "" : count + " of " + every + " attempts"; }
    });
  }
  var form = byId("filters"), timer;
  if (form) {
    form.hidden = false;
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("input", function () {
      clearTimeout(timer);
      timer = setTimeout(function () { remember(""); filter(); }, 120);
    });
    byId("f-clear").addEventListener("click", clear);
    if (byId("f-next")) {
      byId("f-next").addEventListener("click", function () { step(1); });
      byId("f-prev").addEventListener("click", function () { step(-1); });
    }
  }
  function clear() {
    Object.keys(fields).forEach(function (name) { fields[name].value = ""; });
    remember("");
    filter();
  }

  // ---- from failure to failure
  var at = -1;
  function step(by) {
    var failures = attempts.filter(function (attempt) { return !attempt.hidden && attempt.dataset.verdict === "fail"; });
    if (!failures.length) { return; }
    at = (at + by + failures.length + (at < 0 && by < 0 ? 1 : 0)) % failures.length;
    remember(failures[at].id);
    show(failures[at].id);
    failures[at].querySelector("summary").focus({ preventScroll: true });
  }
  document.addEventListener("keydown", function (event) {
    var target = event.target, typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.key === "Escape" && form) { clear(); target.blur(); return; }
    if (typing) { return; }
    if (event.key === "/" && fields.q) { event.preventDefault(); fields.q.focus(); fields.q.select(); return; }
    if (event.key === "n" || event.key === "p") { step(event.key === "n" ? 1 : -1); return; }
    if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && !target.closest(".scroll")) { step(event.key === "ArrowRight" ? 1 : -1); }
  });

  // ---- copying
  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text); }
    var area = document.createElement("textarea");
    area.value = text;
    document.body.appendChild(area);
    area.select();
    var done = document.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject();
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button.copy");
    if (!button) { return; }
    var link = button.getAttribute("data-link"), label = button.getAttribute("data-label") || button.textContent;
    button.setAttribute("data-label", label);
    copy(link ? location.href.split("#")[0] + address(link) : button.getAttribute("data-copy")).then(
      function () { button.textContent = "Copied"; }, function () { button.textContent = "Not copied"; }
    ).then(function () { setTimeout(function () { button.textContent = label; }, 1500); });
  });

  // ---- paper: everything open
  window.addEventListener("beforeprint", function () {
    all("details").forEach(function (details) {
      if (!details.open) { details.open = true; details.setAttribute("data-shut", ""); }
    });
  });
  window.addEventListener("afterprint", function () {
    all("details[data-shut]").forEach(function (details) { details.open = false; details.removeAttribute("data-shut"); });
  });

  var start = parts();
  Object.keys(fields).forEach(function (name) { if (start.query.get(name)) { fields[name].value = start.query.get(name); } });
  filter().then(function () { if (start.anchor) { show(start.anchor); } });
})();
