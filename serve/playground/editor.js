// An editor that completes: a text area with caret and selection of its own, and below it the same
// text in colours with the proposed middle in its place. The proposal is not in the text until taken.

const area = element.querySelector("textarea.pg-input");
const mirror = element.querySelector(".pg-mirror code");
const sheet = element.querySelector(".pg-mirror");
const model = element.querySelector("select.pg-model");
const auto = element.querySelector("input.pg-auto");
const most = element.querySelector("input.pg-most");
const heat = element.querySelector("input.pg-heat");
const status = element.querySelector(".pg-status");
const tools = element.querySelector(".pg-tools");
const below = element.querySelector(".pg-below");

const PAUSE_MS = 500;
let ghost = "";
let asked = 0; // counts requests: an answer to an older one is dropped
let timer = null;
let known = null;

const WORDS = new Set(("False None True and as assert async await break class continue def del elif else except "
  + "finally for from global if import in is lambda nonlocal not or pass raise return try while with yield "
  + "auto bool case char const default do double enum export extends fn func function go impl int interface let "
  + "long match mut namespace new null package private protected public pub self static string struct super "
  + "switch template this throw type typeof undefined unsigned use using var void").split(" "));
const HASHED = new Set(["python", "bash", "ruby", "perl", "r", "julia", "elixir"]);
const STRINGS = String.raw`("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)`;
const REST = String.raw`(\b\d[\w.]*)|([A-Za-z_]\w*)`;
const BY_HASH = new RegExp(`${STRINGS}|(#[^\\n]*)|${REST}`, "g");
const BY_SLASH = new RegExp(`${STRINGS}|(\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$))|${REST}`, "g");
const language = element.querySelector("select.pg-lang");

const colour = (text, into) => {
  let at = 0;
  for (const found of text.matchAll(HASHED.has(language.value) ? BY_HASH : BY_SLASH)) {
    const [whole, string, comment, number, word] = found;
    const kind = string ? "s" : comment ? "c" : number ? "m" : word && WORDS.has(word) ? "k" : "";
    if (!kind) continue;
    into.append(text.slice(at, found.index), pgMake("span", kind, whole));
    at = found.index + whole.length;
  }
  into.append(text.slice(at));
};

const draw = () => {
  const text = area.value;
  mirror.replaceChildren();
  if (ghost) {
    const caret = area.selectionStart;
    colour(text.slice(0, caret), mirror);
    mirror.append(pgMake("span", "pg-ghost", ghost));
    colour(text.slice(caret), mirror);
  } else {
    colour(text, mirror);
  }
  mirror.append("\n"); // a last line that is empty has a height, too
  scroll();
};

const scroll = () => {
  sheet.scrollTop = area.scrollTop;
  sheet.scrollLeft = area.scrollLeft;
};

const say = (text, isBad) => {
  status.textContent = text;
  status.classList.toggle("pg-bad", Boolean(isBad));
};

const propose = (text) => {
  ghost = text;
  take.disabled = drop.disabled = !text;
  draw();
};

const dismiss = () => {
  asked += 1;
  clearTimeout(timer);
  propose("");
};

const insert = (text) => {
  // execCommand keeps the browser's own undo; where it is gone, the text is set.
  area.focus();
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  }
};

const accept = (part) => {
  if (!ghost) return;
  const rest = ghost.slice(part.length);
  ghost = "";
  insert(part);
  clearTimeout(timer);
  asked += 1;
  propose(rest);
  say(rest ? "Tab takes the rest." : "Taken.");
};

const complete = async () => {
  clearTimeout(timer);
  if (!model.value) {
    say("There is no model to ask.", true);
    return;
  }
  const mine = ++asked;
  const caret = area.selectionStart;
  propose("");
  say("Asking…");
  const begun = performance.now();
  let answer;
  try {
    answer = await server.complete({
      model: model.value, prefix: area.value.slice(0, caret), suffix: area.value.slice(area.selectionEnd),
      max_tokens: Number(most.value) || 128, temperature: Number(heat.value) || 0, key: pgKey(),
    });
  } catch {
    answer = { error: "The page's server did not answer." };
  }
  if (mine !== asked) return;
  if (!answer || answer.error) {
    say(answer?.error ?? "The page's server did not answer.", true);
  } else if (!answer.text) {
    say("The model proposes nothing here.");
  } else {
    propose(answer.text);
    say(`Tab takes it, Esc drops it. ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  }
};

const runner = pgRunner(server, () => ({ source: area.value, language: language.value }));
const ask = pgButton("Complete", "Ask for the middle (Ctrl+Space)", complete);
ask.classList.add("pg-run");
const take = pgButton("Take", "Put the proposal into the text (Tab)", () => accept(ghost));
const drop = pgButton("Drop", "Drop the proposal (Esc)", () => { dismiss(); say(""); area.focus(); });
take.disabled = drop.disabled = true;
tools.append(ask, take, drop, runner.opener, runner.start);
below.append(runner.stdin, runner.output);

area.addEventListener("input", () => {
  asked += 1;
  ghost = "";
  take.disabled = drop.disabled = true;
  draw();
  clearTimeout(timer);
  if (auto.checked) timer = setTimeout(complete, PAUSE_MS);
});
language.addEventListener("change", draw);
area.addEventListener("scroll", scroll);
// A proposal belongs to one place: it goes when the caret does.
for (const name of ["pointerdown", "blur"]) {
  area.addEventListener(name, (event) => {
    const next = event.relatedTarget;
    if (ghost && !(next && element.contains(next))) dismiss();
  });
}
let leaves = false; // after Escape, Tab moves on as everywhere
area.addEventListener("keydown", (event) => {
  const isChord = event.ctrlKey || event.metaKey;
  if (isChord && event.key === " ") {
    event.preventDefault();
    complete();
  } else if (isChord && event.key === "Enter") {
    event.preventDefault();
    runner.run();
  } else if (event.key === "Escape") {
    leaves = !ghost;
    dismiss();
    say(leaves ? "Tab leaves the editor." : "");
  } else if (event.key === "Tab" && ghost && !event.shiftKey) {
    event.preventDefault();
    accept(ghost);
  } else if (event.key === "Tab" && !event.shiftKey && !leaves) {
    event.preventDefault();
    insert("    ");
  } else if (ghost && isChord && event.key === "ArrowRight") {
    event.preventDefault();
    accept(ghost.match(/^\s*\S+/)?.[0] ?? ghost);
  } else if (ghost && event.key.startsWith("Arrow")) {
    dismiss();
  }
  if (event.key !== "Escape") leaves = false;
});

const update = () => {
  const value = props.value || {};
  const before = JSON.stringify(value);
  if (before === known) return;
  known = before;
  const chosen = model.value;
  model.replaceChildren(...(value.models ?? []).map((name) => {
    const option = pgMake("option", "", name);
    option.value = name;
    return option;
  }));
  model.value = (value.models ?? []).includes(chosen) ? chosen : (value.model ?? "");
  if (!area.value && value.code) {
    area.value = value.code;
    const caret = value.caret ?? value.code.length;
    area.setSelectionRange(caret, caret);
  }
  draw();
};
watch("value", update);
update();
