"""How the page looks: colours, type and layout. Fonts come with Gradio; fetches nothing from outside."""

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

# A page icon as text, so that the browser asks for no file.
HEAD = """
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect
 width='32' height='32' rx='8' fill='%23175e54'/%3E%3Cpath d='M9 10h14M9 16h14M9 22h8' stroke='%23fff'
 stroke-width='2.6' stroke-linecap='round'/%3E%3C/svg%3E">
"""


def build_theme() -> gr.themes.Base:
    """Return the Gradio theme; what Gradio's variables cannot say is in :data:`CSS`."""
    theme = gr.themes.Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.stone,
        radius_size=sizes.radius_md,
        # Weight 700: the 600 file that Gradio carries has no Latin letters.
        font=(fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "Segoe UI", "Arial", "sans-serif"),
        font_mono=("SF Mono", "Consolas", "DejaVu Sans Mono", "monospace"),
    )
    return theme.set(
        body_background_fill="#f7f6f3",
        body_background_fill_dark="#161718",
        body_text_color="#22252a",
        body_text_color_dark="#e7e5e0",
        body_text_color_subdued="#5c6067",
        body_text_color_subdued_dark="#a6a8ab",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1e2022",
        border_color_primary="#dedbd4",
        border_color_primary_dark="#34373a",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1e2022",
        button_primary_background_fill="#175e54",
        button_primary_background_fill_dark="#1f7a6d",
        button_primary_background_fill_hover="#124b43",
        button_primary_background_fill_hover_dark="#258b7d",
        button_primary_text_color="#ffffff",
    )


# Gradio adds a second copy of every rule with its own class in front and splits selectors at each comma, even
# inside brackets: so no :is(a, b) here. Within @media there is only that copy, which cannot match Gradio's own frame.
CSS = """
:root {
  --cw-ink: #22252a; --cw-soft: #5c6067; --cw-line: #dedbd4; --cw-page: #f7f6f3; --cw-card: #ffffff;
  --cw-tint: #eeece6; --cw-accent: #175e54; --cw-accent-tint: #dcebe7; --cw-on-accent: #ffffff;
  --cw-accent-line: #8dbdb3;
  --cw-mark: #fdeeb5; --cw-mark-line: #e2bd3f; --cw-flash: #ffd75e; --cw-warn: #8c2f22; --cw-warn-tint: #fbeae6;
  color-scheme: light;
}
:root.dark, .dark {
  --cw-ink: #e7e5e0; --cw-soft: #a6a8ab; --cw-line: #34373a; --cw-page: #161718; --cw-card: #1e2022;
  --cw-tint: #292c2e; --cw-accent: #7fcdbf; --cw-accent-tint: #1f3b37; --cw-on-accent: #10201d;
  --cw-accent-line: #4c877d;
  --cw-mark: #4a3f16; --cw-mark-line: #b5922a; --cw-flash: #6f5a17; --cw-warn: #f2a99c; --cw-warn-tint: #3b211d;
  color-scheme: dark;
}

/* The frame: a bar, then conversation and sources side by side, each with its own scroll. Gradio's clips what
   overflows, and then nothing in it is sticky; this rule cannot stand in a media query (see above). */
.gradio-container {
  max-width: none !important; padding: 0 !important; overflow: visible !important; background: var(--cw-page);
}
.gradio-container main.app, .gradio-container .main {
  max-width: none !important; padding: 0 !important; margin: 0;
}
.gradio-container .column, .gradio-container .row { gap: 0; }
#cw-header, #cw-main { display: flex; flex-wrap: nowrap; margin: 0; }
#cw-header {
  height: 3.25rem; align-items: center; gap: 1rem; padding: 0 1.25rem; overflow: hidden;
  border-bottom: 1px solid var(--cw-line); background: var(--cw-card);
}
#cw-header > * { flex: 0 1 auto; width: auto; min-width: 0; }
#cw-header > :first-child { flex: none; }
#cw-main { height: calc(100dvh - 3.25rem); align-items: stretch; }
#cw-chat { flex: 1 1 0; min-width: 0; height: 100%; display: flex; flex-direction: column; flex-wrap: nowrap; }
#cw-side {
  flex: 0 0 min(44%, 38rem) !important; min-width: 0; height: 100%; border-left: 1px solid var(--cw-line);
}
#cw-conversation, #cw-sources { flex: 1 1 0; min-height: 0; height: 100%; overflow: hidden; padding: 0; }
#cw-conversation > *, #cw-sources > * { height: 100%; }
#cw-conversation .html-container, #cw-sources .html-container { height: 100%; padding: 0; }
#cw-conversation .html-container > div, #cw-sources .html-container > div { height: 100%; }
#cw-header .html-container { padding: 0; }
.cw-scroll, .cw-panel { height: 100%; overflow-y: auto; overscroll-behavior: contain; scrollbar-width: thin; }
.cw-scroll { padding: 1.5rem 1.5rem 0; }
.cw-panel { padding: 0 1.25rem 2rem; background: var(--cw-card); }
.cw-list, .cw-welcome, #cw-examples, #cw-composer { width: 100%; max-width: 46rem; margin-inline: auto; }
.cw-scroll .cw-list { height: 100%; }

/* Text. Gradio's own prose rules are switched off for these components. */
#cw-header, .cw-scroll, .cw-panel { color: var(--cw-ink); font-size: 1rem; line-height: 1.6; }
:where(.cw-scroll) *, :where(.cw-panel) *, #cw-header h1, #cw-header p { margin: 0; padding: 0; }
.cw-list ul { list-style: none; }
:where(.cw-list) a { color: var(--cw-accent); text-decoration: underline; text-underline-offset: .15em; }
#cw-main *:focus-visible { outline: 2px solid var(--cw-accent); outline-offset: 2px; border-radius: 4px; }
#cw-main textarea:focus-visible, #cw-main mark:focus { outline: none; }
#cw-main .cw-turn:focus, #cw-main .cw-sources:focus { outline: none; }
#cw-main summary { cursor: pointer; }

/* Bar */
h1.cw-brand { font-size: 1.125rem; font-weight: 600; letter-spacing: -.01em; }
.cw-collection {
  font-size: .875rem; color: var(--cw-soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.cw-collection b { font-weight: 600; color: var(--cw-ink); }

/* Before the first question */
.cw-welcome, .cw-nothing { display: none; }
.cw-empty .cw-welcome, .cw-empty .cw-nothing { display: block; }
.cw-empty .cw-list { display: none; }
#cw-chat:has(.cw-empty) #cw-conversation { flex: 0 0 auto; height: auto; margin-top: 14vh; }
#cw-chat:has(.cw-empty) #cw-composer { margin-top: auto; }
#cw-chat:has(.cw-empty) .html-container, #cw-chat:has(.cw-empty) .html-container > div,
#cw-chat:has(.cw-empty) .cw-scroll {
  height: auto;
}
.cw-empty .cw-scroll { padding-bottom: 1.25rem; }
.cw-welcome h2 { font-size: 1.75rem; font-weight: 600; letter-spacing: -.02em; line-height: 1.25; }
.cw-welcome p { margin-top: .5rem; color: var(--cw-soft); max-width: 36rem; }
.cw-nothing { padding-top: 1.25rem; }
.cw-nothing h2 { font-size: 1rem; font-weight: 600; }
.cw-nothing p { color: var(--cw-soft); font-size: .9375rem; max-width: 24rem; }
#cw-examples { padding: 0 1.5rem .75rem; gap: .5rem !important; }
#cw-examples button {
  justify-content: flex-start; text-align: left; white-space: normal; font-weight: 400; font-size: .9375rem;
  line-height: 1.4; padding: .625rem .875rem; color: var(--cw-ink); background: var(--cw-card);
  border: 1px solid var(--cw-line); border-radius: 10px;
}
#cw-examples button:hover { border-color: var(--cw-accent); color: var(--cw-accent); }

/* Conversation */
.cw-turn { padding-bottom: 2rem; scroll-margin-top: 1rem; }
.cw-scroll .cw-turn:last-child { min-height: 100%; }
h2.cw-question {
  font-size: 1.125rem; font-weight: 600; line-height: 1.4; letter-spacing: -.005em; overflow-wrap: anywhere;
  margin-bottom: .625rem;
}
.cw-answer { overflow-wrap: anywhere; }
.cw-text > p + p, .cw-text > ul { margin-top: .625rem; }
.cw-answer ul { list-style: none; }
.cw-papers > li { padding-left: .875rem; border-left: 2px solid var(--cw-line); margin: .75rem 0; }
.cw-papers > li > strong, .cw-text > p > strong { display: block; font-weight: 700; }
.cw-end { white-space: nowrap; }
a.cw-marker {
  display: inline-block; min-width: 1.375rem; padding: 0 .3rem; margin-left: .3rem; text-align: center;
  text-decoration: none; font-size: .75rem; font-weight: 600; line-height: 1.25rem; border-radius: 6px;
  vertical-align: .1em; color: var(--cw-accent); background: var(--cw-accent-tint);
}
a.cw-marker:hover { color: var(--cw-on-accent); background: var(--cw-accent); }
a.cw-corrected { box-shadow: inset 0 -2px 0 var(--cw-accent-line); }
.cw-unsupported { text-decoration: underline dotted var(--cw-warn); text-underline-offset: .2em; }
.cw-no-source {
  display: inline-block; padding: 0 .375rem; margin-left: .3rem; white-space: nowrap; text-decoration: none;
  font-size: .75rem; font-weight: 600; line-height: 1.25rem; border-radius: 6px; vertical-align: .1em;
  color: var(--cw-warn); background: var(--cw-warn-tint);
}
.cw-draft { color: var(--cw-soft); }
.cw-progress:empty { display: none; }
.cw-progress { color: var(--cw-soft); font-size: .9375rem; margin-top: .5rem; }
.cw-progress::before {
  content: ""; display: inline-block; width: .5rem; height: .5rem; margin-right: .5rem; border-radius: 50%;
  background: var(--cw-accent); animation: cw-pulse 1.4s ease-in-out infinite;
}
@keyframes cw-pulse { 50% { opacity: .25; } }
.cw-filtered { margin: .25rem 0 .5rem; font-size: .8125rem; color: var(--cw-soft); overflow-wrap: anywhere; }
.cw-note { margin-top: .75rem; color: var(--cw-soft); font-size: .9375rem; }
.cw-answer .cw-card {
  border: 1px solid var(--cw-line); background: var(--cw-card); border-radius: 10px; padding: .875rem 1rem;
}
.cw-answer .cw-error { color: var(--cw-warn); background: var(--cw-warn-tint); border-color: transparent; }
.cw-refusal p + p { color: var(--cw-soft); margin-top: .25rem; }
.cw-refusal .cw-nearest { margin-top: .75rem; font-size: .875rem; font-weight: 600; color: var(--cw-soft); }
.cw-refusal li { margin-top: .25rem; font-size: .9375rem; }
.cw-asides { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .875rem; color: var(--cw-soft); }
.cw-aside { margin-top: .5rem; }
.cw-aside[open] { flex-basis: 100%; }
.cw-aside[hidden] { display: none; }
.cw-aside > p { margin-top: .375rem; }
.cw-aside ul { margin-top: .375rem; padding-left: .875rem; border-left: 2px solid var(--cw-line); }
.cw-aside li + li { margin-top: .375rem; }
.cw-aside q { color: var(--cw-ink); }
.cw-aside li span { display: block; }
.cw-answer .cw-tools {
  display: flex; flex-wrap: wrap; align-items: center; gap: .125rem; margin-top: .75rem; margin-left: -.5rem;
}
.cw-tool {
  font-size: .8125rem; line-height: 1.4; padding: .25rem .5rem; border: 0; border-radius: 6px; background: none;
  color: var(--cw-soft); text-decoration: none; cursor: pointer;
}
.cw-tool:hover { color: var(--cw-ink); background: var(--cw-tint); }
.cw-searched[open] { flex-basis: 100%; }
.cw-searched p { padding: .125rem .5rem; font-size: .8125rem; color: var(--cw-soft); }

/* Composer */
#cw-composer, #cw-examples { flex: 0 0 auto !important; max-width: 49rem !important; }
#cw-composer { padding: .5rem 1.5rem 1rem; }
#cw-box {
  border: 1px solid var(--cw-line); border-radius: 12px; background: var(--cw-card);
  box-shadow: 0 1px 2px rgb(0 0 0 / .05);
}
#cw-box:focus-within { border-color: var(--cw-accent); }
#cw-box .input-container { align-items: flex-end; }
#cw-box textarea {
  margin: 0 0 .3125rem; font-size: 1rem; color: var(--cw-ink); background: transparent; border: 0; box-shadow: none;
}
#cw-box textarea::placeholder { color: var(--cw-soft); opacity: 1; }
#cw-box .submit-button, #cw-box .stop-button {
  width: auto; min-width: 3.5rem; height: 2.125rem; padding: 0 .875rem; margin: .25rem; border-radius: 8px;
  font-weight: 600; font-size: .9375rem; color: var(--cw-on-accent); background: var(--cw-accent);
  box-shadow: none; border: 0;
}
#cw-box button.stop-button {
  color: var(--cw-ink); background: var(--cw-tint); border: 1px solid var(--cw-line);
}
#cw-filter { margin-top: .5rem; border: 1px solid transparent; border-radius: 8px; background: transparent; }
#cw-filter:hover { border-color: var(--cw-line); }
#cw-filter:focus-within { border-color: var(--cw-accent); background: var(--cw-card); }
#cw-filter textarea, #cw-filter input {
  padding: .25rem .625rem !important; font-size: .8125rem; line-height: 1.5; color: var(--cw-ink);
  background: transparent !important; border: 0 !important; box-shadow: none !important;
}
#cw-filter textarea::placeholder, #cw-filter input::placeholder { color: var(--cw-soft); opacity: 1; }
#cw-actions { gap: .25rem !important; justify-content: flex-start; padding-top: .375rem; margin-left: -.5rem; }
#cw-actions button {
  flex: 0 0 auto; width: auto; min-width: 0; background: none; border: 0; box-shadow: none; padding: .25rem .5rem;
  font-size: .8125rem; font-weight: 400; color: var(--cw-soft); border-radius: 6px;
}
#cw-actions button:hover { background: var(--cw-tint); color: var(--cw-ink); }

/* Sources */
.cw-sources-head {
  position: sticky; top: 0; z-index: 1; display: flex; gap: 1rem; align-items: baseline;
  justify-content: space-between; padding: .875rem 0 .625rem; background: var(--cw-card);
}
.cw-for {
  font-size: .875rem; color: var(--cw-soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  min-width: 0;
}
.cw-list a.cw-back { font-size: .8125rem; white-space: nowrap; color: var(--cw-soft); }
.cw-paper { padding: .5rem 0 1.25rem; scroll-margin-top: 3rem; }
.cw-paper + .cw-paper { border-top: 1px solid var(--cw-line); padding-top: 1.25rem; }
.cw-paper h3 { font-size: 1rem; font-weight: 600; line-height: 1.4; }
.cw-number {
  display: inline-block; min-width: 1.375rem; margin-right: .5rem; text-align: center; border-radius: 6px;
  font-size: .75rem; line-height: 1.25rem; vertical-align: .1em; color: var(--cw-accent);
  background: var(--cw-accent-tint);
}
.cw-facts { font-size: .875rem; color: var(--cw-soft); margin-top: .25rem; overflow-wrap: anywhere; }
.cw-abstract { font-size: .9375rem; line-height: 1.65; margin-top: .5rem; overflow-wrap: anywhere; }
mark {
  color: var(--cw-ink); background: var(--cw-mark); box-shadow: 0 1px 0 var(--cw-mark-line); border-radius: 2px;
  padding: .1em 0; -webkit-box-decoration-break: clone; box-decoration-break: clone; scroll-margin: 4rem;
}
.cw-flash { animation: cw-flash 1.8s ease-out; }
@keyframes cw-flash { 0%, 45% { background-color: var(--cw-flash); } }
.cw-flash:not(mark) { animation-name: cw-glow; }
@keyframes cw-glow { 0%, 25% { background-color: var(--cw-accent-tint); } }
.cw-under {
  display: flex; flex-wrap: wrap; gap: 0 1rem; margin-top: .5rem; font-size: .8125rem; color: var(--cw-soft);
}
.cw-why[open] { flex-basis: 100%; }
.cw-why dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .25rem 1rem;
  padding: .375rem 0;
}
.cw-why dl > div { display: flex; gap: .5rem; }
.cw-why dt, .cw-why dd { white-space: nowrap; }
.cw-why dd { color: var(--cw-ink); font-variant-numeric: tabular-nums; }
.cw-considered { border-top: 1px solid var(--cw-line); padding: .75rem 0; font-size: .9375rem; }
.cw-considered > summary { color: var(--cw-soft); font-size: .875rem; }
.cw-other { padding: .5rem 0 0 .125rem; scroll-margin-top: 3rem; }
.cw-other[open] { padding-bottom: .75rem; }
/* Too narrow for two columns: one page that the window scrolls. */
@media (max-width: 899.98px) {
  #cw-main { display: block; height: auto; }
  #cw-chat, #cw-side, #cw-conversation, #cw-sources, #cw-conversation > *, #cw-sources > *, .cw-scroll,
  .cw-panel, .cw-scroll .cw-list, #cw-conversation .html-container, #cw-sources .html-container,
  #cw-conversation .html-container > div, #cw-sources .html-container > div {
    height: auto; overflow: visible;
  }
  #cw-conversation, #cw-sources { flex: none; }
  #cw-chat { min-height: calc(100dvh - 3.25rem); }
  #cw-chat #cw-composer { margin-top: auto; }
  #cw-side { border-left: 0; border-top: 1px solid var(--cw-line); }
  .cw-scroll { padding: 1.25rem 1rem 0; }
  /* While its papers are still to come there is little below it; yet the question must reach the top. */
  .cw-scroll .cw-turn:last-child { min-height: 0; }
  .cw-scroll .cw-turn[aria-busy]:last-child { min-height: calc(100dvh - 7.5rem); }
  .cw-panel { padding: 0 1rem 6rem; }
  #cw-chat:has(.cw-empty) #cw-conversation { margin-top: 4vh; }
  #cw-examples { padding: 0 1rem .75rem; }
  #cw-composer { position: sticky; bottom: 0; z-index: 2; padding: .5rem 1rem .75rem; background: var(--cw-page); }
  #cw-header { padding: 0 1rem; }
  .cw-collection { font-size: .8125rem; line-height: 1.25; white-space: normal; }
}
@media (min-width: 900px) {
  .cw-to-sources { display: none; }
}
@media (prefers-reduced-motion: reduce) {
  .cw-progress::before { animation: none; }
  .cw-flash { animation-timing-function: steps(1, end); }
}
"""
