// The log of a chat: turns that grow while they are written. Only what changed is touched, so that
// an output or a half-typed stdin in an earlier block stays.

const list = element.querySelector(".pg-log");
const shown = []; // for each turn: {node, parts: [{node, was, blocks}], ...}

const makeTurn = (turn) => {
  const node = pgMake("article", `pg-turn pg-${turn.role}`);
  const head = pgMake("header", "", { user: "You", assistant: "Model", refusal: "No answer" }[turn.role]);
  const body = pgMake("div", "pg-body");
  const foot = pgMake("footer");
  node.append(head, body, foot);
  list.append(node);
  return { node, head, body, foot, role: turn.role, parts: [], thought: null, note: null };
};

const showThought = (held, thought) => {
  if (!held.thought) {
    const fold = pgMake("details", "pg-thought");
    const summary = pgMake("summary");
    const text = pgMake("div", "pg-thought-text");
    fold.append(summary, text);
    held.body.before(fold);
    held.thought = { summary, text };
  }
  held.thought.summary.textContent = thought.summary;
  held.thought.text.textContent = thought.text;
};

const showPart = (held, index, part) => {
  const was = JSON.stringify(part);
  let kept = held.parts[index];
  if (kept && kept.was === was) return;
  if (!kept) {
    kept = { node: pgMake("div", "pg-part"), blocks: [] };
    held.parts[index] = kept;
    held.body.append(kept.node);
  }
  kept.was = was;
  const blocks = part.blocks.map((block, at) => {
    const old = kept.blocks[at];
    if (old) old.update(block);
    return old ?? pgCodeBlock(server, block);
  });
  const isOnlyCode = part.html === '<div class="pg-slot"></div>';
  if (!(isOnlyCode && kept.isOnlyCode)) {
    kept.node.innerHTML = part.html; // made by our own server; a model's text is escaped in it
    kept.node.querySelectorAll(".pg-slot").forEach((slot, at) => slot.replaceWith(blocks[at].figure));
  }
  kept.isOnlyCode = isOnlyCode;
  kept.blocks = blocks;
};

const showTurn = (held, turn) => {
  held.node.classList.toggle("pg-live", turn.live);
  held.node.setAttribute("aria-busy", String(turn.live));
  if (turn.thought) showThought(held, turn.thought);
  if (turn.role !== "assistant") {
    if (held.body.textContent !== turn.text) held.body.textContent = turn.text;
  } else {
    turn.parts.forEach((part, index) => showPart(held, index, part));
    for (const extra of held.parts.splice(turn.parts.length)) extra.node.remove();
  }
  if (held.note !== turn.note) {
    held.note = turn.note;
    held.foot.replaceChildren();
    if (turn.note) held.foot.append(pgMake("span", "", turn.note));
    if (turn.role === "assistant" && !turn.live && turn.text) {
      held.foot.append(pgButton("Copy", "Copy the whole reply", pgCopy(() => turn.text)));
    }
  }
};

const update = () => {
  const value = props.value || { turns: [] };
  const turns = value.turns ?? [];
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.setAttribute("aria-label", value.label ?? "Chat");
  // A shorter or another chat begins anew; its nodes are not those of the old one.
  const keeps = turns.length >= shown.length && shown.every((held, at) => held.role === turns[at].role);
  if (!keeps) {
    list.replaceChildren();
    shown.length = 0;
  }
  turns.forEach((turn, index) => {
    shown[index] ??= makeTurn(turn);
    showTurn(shown[index], turn);
  });
  element.querySelector(".pg-empty").hidden = turns.length > 0;
  list.hidden = turns.length === 0;
  if (isAtEnd) list.scrollTop = list.scrollHeight;
};

watch("value", update);
update();
