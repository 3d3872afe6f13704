// What every component of the page has: a code block with a Run button, and small parts.
// Text that came from a model or a program is only ever set as text, never as markup.

const pgMake = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const pgButton = (text, title, act) => {
  const button = pgMake("button", "pg-button", text);
  button.type = "button";
  button.title = title;
  button.addEventListener("click", act);
  return button;
};

const pgKey = () => document.querySelector("#pg-key input")?.value ?? "";

// Returns a function that copies what `read()` gives, and says so on its button.
const pgCopy = (read) => async (event) => {
  const button = event.currentTarget;
  const before = "Copy";
  try {
    await navigator.clipboard.writeText(read());
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = before; }, 1200);
};

const pgStream = (name, text) => {
  const box = pgMake("div", "pg-stream");
  const head = pgMake("div", "pg-stream-name", name);
  const body = pgMake("pre", "", text);
  body.tabIndex = 0;
  body.setAttribute("aria-label", name);
  box.append(head, body);
  return box;
};

// Fills `place` with what a run did.
const pgShowRun = (place, ran) => {
  place.replaceChildren();
  if (ran.error) {
    place.append(pgMake("p", "pg-error", ran.error));
    return;
  }
  const line = pgMake("div", "pg-verdict");
  line.dataset.kind = ran.kind;
  line.append(pgMake("span", `pg-chip pg-${ran.tone}`, ran.word));
  if (ran.detail) line.append(pgMake("span", "pg-detail", ran.detail));
  line.append(pgMake("span", "pg-figures", ran.figures.join(" · ")));
  place.append(line);
  if (ran.stdout) place.append(pgStream("stdout", ran.stdout));
  if (ran.stderr) place.append(pgStream("stderr", ran.stderr));
  if (!ran.stdout && !ran.stderr) place.append(pgMake("p", "pg-soft", "It printed nothing."));
  if (ran.truncated) place.append(pgMake("p", "pg-soft", "The output was cut."));
};

// Buttons, stdin and output of one program. `read()` gives {source, language}.
const pgRunner = (server, read) => {
  const stdin = pgMake("div", "pg-stdin");
  const label = pgMake("label", "", "stdin");
  const field = pgMake("textarea");
  field.rows = 3;
  field.spellcheck = false;
  field.placeholder = "what the program reads";
  label.append(field);
  stdin.append(label);
  stdin.hidden = true;
  const output = pgMake("div", "pg-ran");
  output.setAttribute("role", "status");
  let isRunning = false;
  const run = async () => {
    if (isRunning) return;
    isRunning = true;
    start.disabled = true;
    start.textContent = "Running…";
    output.classList.add("pg-busy");
    let ran;
    try {
      ran = await server.run_block({ ...read(), stdin: stdin.hidden ? "" : field.value, key: pgKey() });
    } catch {
      ran = { error: "The page's server did not answer." };
    }
    pgShowRun(output, ran ?? { error: "The page's server did not answer." });
    output.classList.remove("pg-busy");
    start.textContent = "Run";
    start.disabled = false;
    isRunning = false;
  };
  const start = pgButton("Run", "Run it in the sandbox", run);
  start.classList.add("pg-run");
  const opener = pgButton("stdin", "Give the program something to read", () => {
    stdin.hidden = !stdin.hidden;
    opener.setAttribute("aria-expanded", String(!stdin.hidden));
    if (!stdin.hidden) field.focus();
  });
  opener.setAttribute("aria-expanded", "false");
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  return { start, opener, stdin, output, run };
};

// One code block; `update` takes the block as it grows.
const pgCodeBlock = (server, block) => {
  let now = block;
  const figure = pgMake("figure", "pg-code");
  const head = pgMake("figcaption");
  const name = pgMake("span", "pg-language");
  const code = pgMake("code");
  const pre = pgMake("pre");
  pre.tabIndex = 0;
  pre.append(code);
  const runner = pgRunner(server, () => ({ source: now.source, language: now.language }));
  head.append(name, runner.opener, pgButton("Copy", "Copy the code", pgCopy(() => now.source)), runner.start);
  figure.append(head, pre, runner.stdin, runner.output);
  const update = (next) => {
    now = next;
    name.textContent = next.language || "code";
    pre.setAttribute("aria-label", `code, ${next.language || "no language given"}`);
    code.innerHTML = next.html; // made by our own server out of escaped words
    runner.start.hidden = runner.opener.hidden = !next.runs;
  };
  update(block);
  return { figure, update };
};
