// What only the browser can do: keep the chosen images, send them with each question, show faults as text.
// It stores nothing: a case is gone with the tab.
"use strict";
(() => {
  const ASKING = ["/diagnose", "/contributions", "/saliency"];
  const chosen = []; // {file, modality, url, dicom}
  let asked = null; // the case of the answer that is shown
  let method = null; // how maps are made, once that was chosen

  const byId = (id) => document.getElementById(id);
  const wording = (element, number) => element.dataset.text.replace("{number}", number);

  // What is no number goes as it was typed: the service says so, and nothing is taken for missing.
  const numberOr = (text) => Number.isFinite(Number(text)) ? Number(text) : text;

  function body() {
    const form = new FormData();
    for (const one of chosen) form.append(one.modality, one.file, "image");
    const patient = {};
    const age = byId("age").value.trim();
    if (age !== "") patient.age_years = numberOr(age);
    for (const field of ["sex", "site"]) if (byId(field).value !== "") patient[field] = byId(field).value;
    const frame = byId("frame").value.trim();
    const options = frame === "" || !chosen.some((one) => one.dicom) ? {} : { frame: numberOr(frame) };
    form.append("case", JSON.stringify({ patient, options }));
    return form;
  }

  function authorised() {
    const key = byId("key");
    return key && key.value ? { Authorization: "Bearer " + key.value } : {};
  }

  function check() {
    const files = byId("files");
    const most = Number(files.dataset.most);
    const text = chosen.length === 0 ? files.dataset.needed : chosen.length > most ? files.dataset.tooMany : "";
    files.setCustomValidity(text);
  }

  function draw() {
    const list = byId("images");
    list.replaceChildren(...chosen.map((one, at) => {
      const row = byId("image-row").content.firstElementChild.cloneNode(true);
      if (one.dicom) row.querySelector(".thumb").textContent = "DICOM"; // a browser shows none
      else row.querySelector("img").src = one.url;
      row.querySelector(".name").textContent = one.file.name;
      const label = row.querySelector("label span");
      label.textContent = wording(label, at + 1);
      const remove = row.querySelector(".remove");
      remove.setAttribute("aria-label", wording(remove, at + 1));
      remove.addEventListener("click", () => {
        URL.revokeObjectURL(one.url);
        chosen.splice(at, 1);
        draw();
        changed();
        byId("files").focus();
      });
      const select = row.querySelector("select");
      select.querySelector("[value=dicom]").hidden = !one.dicom;
      select.value = one.modality;
      select.addEventListener("change", () => { one.modality = select.value; });
      return row;
    }));
    list.hidden = chosen.length === 0;
    byId("frames").hidden = !chosen.some((one) => one.dicom);
    check();
  }

  function add(files, modality = "") {
    for (const file of files) {
      const one = { file, modality, url: URL.createObjectURL(file), dicom: false };
      chosen.push(one);
      lookInto(one);
    }
    draw();
    changed();
  }

  // A DICOM file bears its mark behind 128 bytes, whatever its name; mostly it tells its modality itself.
  async function lookInto(one) {
    try {
      if (await one.file.slice(128, 132).text() !== "DICM") return;
    } catch { return; } // the file is gone: sending it will say so
    one.dicom = true;
    one.modality ||= "dicom";
    if (chosen.includes(one)) draw();
  }

  function empty() {
    for (const one of chosen.splice(0)) URL.revokeObjectURL(one.url);
    for (const field of ["age", "sex", "site", "frame"]) byId(field).value = "";
    draw();
  }

  function changed() {
    const stale = byId("stale");
    stale.textContent = asked ? stale.dataset.text : "";
  }

  async function sample() {
    let found;
    try {
      const answer = await fetch("/sample", { headers: authorised() });
      if (!answer.ok) return tell(byId("problem"), await answer.text());
      found = await answer.json();
    } catch {
      return tell(byId("problem"), "");
    }
    empty();
    const { age_years: age, sex, site } = found.patient;
    byId("age").value = age ?? "";
    byId("sex").value = sex ?? "";
    byId("site").value = site ?? "";
    for (const image of found.images) {
      const bytes = Uint8Array.from(atob(image.data), (c) => c.charCodeAt(0));
      add([new File([bytes], image.modality + ".jpg", { type: "image/jpeg" })], image.modality);
    }
    htmx.trigger(byId("case"), "submit");
  }

  // A fault as text: its code in the page's language, then what the service says.
  function tell(box, text) {
    let problem = null;
    try { problem = JSON.parse(text); } catch { /* no answer of the service's own */ }
    const known = (code) => byId("problems").content.querySelector(`[data-code="${CSS.escape(code)}"]`);
    const code = problem && typeof problem.code === "string" ? problem.code : text ? "other" : "network";
    const title = document.createElement("strong");
    title.textContent = (known(code) || known("other")).textContent;
    const detail = document.createElement("span");
    detail.lang = "en";
    detail.textContent = problem && typeof problem.detail === "string" ? " " + problem.detail : "";
    const line = document.createElement("p");
    line.className = "problem";
    line.append(title, detail);
    box.replaceChildren(line);
  }

  async function translate(link) {
    const kept = ["age", "sex", "site", "key", "frame"].map((id) => [id, byId(id) ? byId(id).value : ""]);
    const again = asked !== null;
    await htmx.ajax("GET", "/" + link.search, { target: "body", swap: "innerHTML" });
    document.documentElement.lang = link.lang;
    history.replaceState(null, "", "/" + link.search);
    for (const [id, value] of kept) if (byId(id)) byId(id).value = value;
    draw();
    document.querySelector(`[data-language="${link.lang}"]`).focus();
    if (!again) return;
    htmx.process(byId("case")); // else it is only readied a moment later
    htmx.trigger(byId("case"), "submit");
  }

  document.addEventListener("DOMContentLoaded", () => {
    sessionStorage.clear(); // htmx has just put the address there
    if (byId("files")) draw();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-language]");
    if (link && byId("files") && (chosen.length || asked)) {
      event.preventDefault();
      translate(link);
    }
    if (event.target.id === "sample") sample();
    if (event.target.id === "clear") {
      empty();
      changed();
      byId("files").focus();
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "files") {
      const files = [...event.target.files];
      event.target.value = ""; // the same file may be chosen once more
      add(files);
    } else if (event.target.id === "method") method = event.target.value;
    else if (event.target.closest("#case")) changed();
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches("input.opacity")) return;
    event.target.closest("figure").querySelector(".heat").style.opacity = event.target.value / 100;
  });
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!byId("drop") || ![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault(); // anywhere: a file that misses the form must not replace the page
      if (name === "drop" && event.dataTransfer.files.length) add(event.dataTransfer.files);
    });
  }

  document.addEventListener("htmx:configRequest", (event) => {
    const path = event.detail.path.split("?")[0];
    Object.assign(event.detail.headers, authorised());
    if (path === "/diagnose") asked = body();
    if (ASKING.includes(path)) event.detail.parameters = asked;
    if (path === "/saliency" && method) event.detail.path += "&method=" + encodeURIComponent(method);
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "case") return;
    byId("problem").replaceChildren();
    changed();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "answer") {
      byId("stale").textContent = "";
      if (method && byId("method")) byId("method").value = method;
    }
    const focus = event.detail.target.querySelector("[data-focus]");
    if (focus) focus.focus();
  });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const box = event.detail.elt.id === "case" ? byId("problem") : event.detail.target;
      tell(box, event.detail.xhr ? event.detail.xhr.responseText : "");
    });
  }
})();
