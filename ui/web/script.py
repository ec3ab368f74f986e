"""The page's own JavaScript: lists patched in place, marker jumps and copy buttons. Fetches nothing.

Each constant is the body of a Gradio ``js_on_load`` function, which is given ``element``, ``props`` and
``watch``. The two components speak to each other by events on ``document``.
"""

# Pieces are patched, not replaced: an opened <details>, the focus, a selection and a click that has begun must
# outlive the next token. (Gradio's own redraw would close every <details>.)
_DRAW = """
const list = element.querySelector('.cw-list');
let drawn = [];
const motion = () => matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
const parsed = (html) => {
  const holder = document.createElement('template');
  holder.innerHTML = html;
  return holder.content.firstElementChild;
};
const patch = (old, fresh) => {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) { old.data = fresh.data; return; }
  for (const { name } of [...old.attributes]) {
    if (name !== 'open' && name !== 'style' && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const nodes = [...fresh.childNodes];
  nodes.forEach((node, i) => { if (old.childNodes[i]) patch(old.childNodes[i], node); else old.append(node); });
  while (old.childNodes.length > nodes.length) old.lastChild.remove();
};
const draw = () => {
  const pieces = Array.isArray(props.value) ? props.value : [];
  const before = drawn;
  drawn = [...pieces];
  drawn.forEach((html, i) => {
    if (i >= before.length) list.append(parsed(html));
    else if (before[i] !== html) patch(list.children[i], parsed(html));
  });
  while (list.children.length > drawn.length) list.lastElementChild.remove();
  element.classList.toggle('cw-empty', !drawn.length);
  return drawn.length > before.length;
};
"""

CONVERSATION_JS = (
    _DRAW
    + """
// While an answer is written its text keeps the height that it once had: a draft that is left out moves nothing.
const hold = () => {
  for (const text of list.querySelectorAll('.cw-text')) {
    text.style.minHeight = text.closest('[aria-busy]') ? `${text.offsetHeight}px` : '';
  }
};
const update = () => {
  if (draw()) list.lastElementChild.scrollIntoView({ block: 'start', behavior: motion() });
  hold();
};
watch('value', update);
update();
const copied = (button) => {
  const label = button.textContent;
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = label; }, 1500);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) navigator.clipboard.writeText(button.dataset.copy).then(() => copied(button));
  const link = event.target.closest('[data-goto]');
  if (!link) return;
  event.preventDefault();
  const detail = { turn: link.dataset.turn, ids: link.dataset.goto.split(' '), from: link };
  document.dispatchEvent(new CustomEvent('citewell:show', { detail }));
});
"""
)

SOURCES_JS = (
    _DRAW
    + """
let shown = '';
let origin = null;
const choose = (turn) => {
  shown = turn;
  for (const section of list.children) section.hidden = section.dataset.turn !== turn;
};
const update = () => {
  const added = draw();
  const last = list.lastElementChild;
  choose(added || !list.querySelector(`[data-turn="${shown}"]`) ? last?.dataset.turn ?? '' : shown);
};
const flash = (target) => {
  target.classList.remove('cw-flash');
  void target.offsetWidth;
  target.classList.add('cw-flash');
};
watch('value', update);
update();
document.addEventListener('citewell:show', (event) => {
  const { turn, ids, from } = event.detail;
  choose(turn);
  const targets = ids.flatMap((id) => {
    const name = CSS.escape(id);
    return [...list.querySelectorAll(`[data-spans~="${name}"], [id="${name}"]`)];
  });
  if (!targets.length) return;
  origin = from;
  for (let fold = targets[0].closest('details'); fold; fold = fold.parentElement.closest('details')) fold.open = true;
  targets[0].scrollIntoView({ block: targets[0].matches('mark') ? 'center' : 'start', behavior: motion() });
  targets[0].focus({ preventScroll: true });
  targets.forEach(flash);
});
element.addEventListener('click', (event) => {
  const link = event.target.closest('[data-back]');
  if (!link) return;
  event.preventDefault();
  const turn = document.getElementById(link.dataset.back);
  if (!turn) return;
  turn.scrollIntoView({ block: 'start', behavior: motion() });
  (turn.contains(origin) ? origin : turn).focus({ preventScroll: true });
});
"""
)
