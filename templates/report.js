(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  function all(selector, from) {
    return Array.prototype.slice.call((from || document).querySelectorAll(selector));
  }
  var outputs = all("details.output");
  var rows = all("table.rest tr[data-verdict]");

  all(".filters button").forEach(function (button) {
    button.addEventListener("click", function () {
      all(".filters button").forEach(function (other) {
        other.setAttribute("aria-pressed", String(other === button));
      });
      outputs.concat(rows).forEach(function (output) {
        var wanted = button.dataset.verdict;
        output.classList.toggle("hidden", wanted !== "" && output.dataset.verdict !== wanted);
      });
    });
  });

  var still = window.matchMedia("(prefers-reduced-motion: reduce)");
  function show(pair, side) {
    pair.dataset.shown = side;
    var label = pair.querySelector("[data-role=shown]");
    if (label) { label.textContent = side === "new" ? "showing the rerun" : "showing the recorded"; }
  }
  all(".pair").forEach(function (pair) {
    var timer = null;
    var modes = all("button[data-mode]", pair);
    modes.forEach(function (button) {
      button.addEventListener("click", function () {
        var again = pair.dataset.mode === button.dataset.mode;
        pair.dataset.mode = button.dataset.mode;
        modes.forEach(function (other) {
          other.setAttribute("aria-pressed", String(other === button));
        });
        window.clearInterval(timer);
        if (button.dataset.mode !== "blink") { return; }
        show(pair, again && pair.dataset.shown !== "new" ? "new" : "old");
        if (!still.matches) {
          timer = window.setInterval(function () {
            show(pair, pair.dataset.shown === "new" ? "old" : "new");
          }, 700);
        }
      });
    });
    var cut = pair.querySelector("[data-role=cut]");
    if (cut) {
      cut.addEventListener("input", function () {
        pair.style.setProperty("--cut", cut.value + "%");
      });
    }
    var zoom = pair.querySelector("[data-role=zoom]");
    if (zoom) {
      zoom.addEventListener("click", function () {
        var on = !pair.hasAttribute("data-zoom");
        pair.toggleAttribute("data-zoom", on);
        zoom.setAttribute("aria-pressed", String(on));
      });
    }
  });

  all(".copy").forEach(function (button) {
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("pre").textContent;
      if (navigator.clipboard) {
        navigator.clipboard.writeText(text).then(function () { button.textContent = "Copied"; });
      }
    });
  });

  var theme = document.querySelector(".theme");
  theme.addEventListener("click", function () {
    var dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  function step(by) {
    var seen = outputs.filter(function (output) { return !output.classList.contains("hidden"); });
    var here = seen.indexOf(document.activeElement.closest("details.output"));
    var next = seen[Math.max(0, Math.min(seen.length - 1, here + by))];
    if (next) { next.querySelector("summary").focus(); }
  }
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.target.tagName === "INPUT") { return; }
    if (event.key === "j") { step(1); }
    if (event.key === "k") { step(-1); }
  });

  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = all("details").filter(function (item) { return !item.open; });
    closed.forEach(function (item) { item.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (item) { item.open = false; });
  });
})();
