"""Put a collection of papers on a local web page with Gradio. Answers nothing and formats nothing itself."""

import errno
import logging
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import gradio as gr

from index.errors import CitewellError, ConfigError
from rag.settings import AnsweringSettings

from .chat import WENT_WRONG, Library, Session, View, respond
from .render import render_status
from .script import CONVERSATION_JS, SOURCES_JS
from .theme import CSS, HEAD, build_theme
from .visitors import Visitors

logger = logging.getLogger(__name__)

_SERVER_CONCURRENT = 8  # answers that a server writes at the same time by default, the most of all models
_READER_CONCURRENT = 8  # answers by the evidence reader, for those who find no place in the queue of the model
_SPARE_THREADS = 16  # for what must not wait behind the answers, such as their stop
_LOCAL_HOSTS = ("127.0.0.1", "localhost")

_WELCOME = """
<div class="cw-scroll"><div class="cw-welcome"><h2>Ask the papers</h2>
<p>Every sentence of an answer points to the exact sentence of an abstract it rests on.
When no abstract answers, you are told so.</p></div>
<div class="cw-list" role="log" aria-label="Conversation"></div></div>
"""
_SOURCES = """
<aside class="cw-panel" aria-label="Sources"><div class="cw-nothing"><h2>Sources</h2>
<p>The papers behind an answer appear here, with the cited sentences marked.</p></div>
<div class="cw-list"></div></aside>
"""


def answers_at_once(answering: AnsweringSettings) -> int:
    """Return how many answers may be under way on the page: more than can be written by, and wait for, a model.

    Waiting for a model takes no time of the processor. Nobody is to wait in Gradio's own queue, where neither the
    question nor the place in the queue is shown.
    """
    return (answering.concurrent or _SERVER_CONCURRENT) + answering.max_waiting + _READER_CONCURRENT


DEFAULT_AT_ONCE = answers_at_once(AnsweringSettings())


def build_app(qa: Library, at_once: int = DEFAULT_AT_ONCE) -> gr.Blocks:
    """Build the chat page of a collection; each visitor has a conversation of their own.

    The look and the privacy switches of the server belong to its launch: see :func:`serve`.

    Args:
        qa: The papers to ask.
        at_once: Answers that may be under way: see :func:`answers_at_once`.
    """
    with gr.Blocks(title="Citewell", analytics_enabled=False, fill_width=True) as demo:
        session = gr.State(Session())
        with gr.Row(elem_id="cw-header"):
            gr.HTML('<h1 class="cw-brand">Citewell</h1>', js_on_load=None, apply_default_css=False)
            status = gr.HTML(js_on_load=None, apply_default_css=False, elem_id="cw-status")
        with gr.Row(elem_id="cw-main"):
            with gr.Column(elem_id="cw-chat", min_width=0):
                conversation = _drawn_html(_WELCOME, CONVERSATION_JS, "cw-conversation")
                with gr.Column(elem_id="cw-examples", min_width=0) as examples:
                    chosen = [gr.Button(text) for text in (qa.example_questions() if len(qa) else [])]
                with gr.Column(elem_id="cw-composer", min_width=0):
                    box = gr.Textbox(
                        label="Question",
                        show_label=False,
                        placeholder="Ask about the papers",
                        max_lines=6,
                        submit_btn="Ask",
                        container=False,
                        autofocus=True,
                        elem_id="cw-box",
                    )
                    where = gr.Textbox(
                        label="Filter",
                        show_label=False,
                        placeholder="Filter papers: year>=2020 author:Chen venue:Nature tag:cs.LG",
                        max_lines=1,
                        container=False,
                        elem_id="cw-filter",
                    )
                    with gr.Row(elem_id="cw-actions", visible=False) as actions:
                        again = gr.Button("Ask again", size="sm")
                        fresh = gr.Button("New conversation", size="sm")
            with gr.Column(elem_id="cw-side", min_width=0):
                sources = _drawn_html(_SOURCES, SOURCES_JS, "cw-sources")

        shown = [box, conversation, sources, examples, actions]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        visitors = Visitors()
        answering = {"concurrency_limit": at_once, "concurrency_id": "answers", **quiet}

        def run(question: str, filter_text: str, visit: Session, request: gr.Request) -> Iterator[list[Any]]:
            with visitors.answering(request, visit):
                for place, view in enumerate(respond(qa, question, visit, filter_text)):
                    yield _updates(view, box="" if place == 0 else view.unread or None)

        def run_again(filter_text: str, visit: Session, request: gr.Request) -> Iterator[list[Any]]:
            with visitors.answering(request, visit):
                for view in respond(qa, visit.take_back(), visit, filter_text):
                    yield _updates(view)

        def start_over(visit: Session) -> list[Any]:
            visit.leave()
            return [Session(), *_updates(View([], [], busy=False), box="")]

        def answer(question: str, where: str = "") -> dict[str, Any]:
            """Answer one question with exact citations, from the papers that pass a filter, without memory."""
            try:
                return qa.ask(question, where=where.strip() or None).to_dict()
            except (CitewellError, ValueError) as exc:
                raise gr.Error(str(exc), print_exception=False) from exc
            except Exception as exc:
                logger.exception("a question to the API failed")
                raise gr.Error(WENT_WRONG, print_exception=False) from exc

        gr.events.api(answer, api_name="ask", concurrency_limit=at_once, concurrency_id="answers")
        box.submit(run, [box, where, session], shown, **answering)
        again.click(run_again, [where, session], shown, **answering)
        for button in chosen:
            button.click(run, [button, where, session], shown, **answering)
        # Not on the queue: a stop must not wait behind the answer that it stops.
        box.stop(Session.stop, [session], None, queue=False, **quiet)
        # On the queue: it delivers in order, so that no view of the old conversation comes after the empty one.
        fresh.click(start_over, [session], [session, *shown], concurrency_limit=None, **quiet)
        demo.unload(visitors.leave)
        demo.load(lambda: render_status(len(qa), qa.answerer), None, status, **quiet)
    demo.queue(max_size=64)
    page: gr.Blocks = demo
    return page


def launch(demo: gr.Blocks, host: str, port: int, at_once: int = DEFAULT_AT_ONCE) -> str:
    """Start the server of a page in the background and return its address.

    Nothing is fetched from or sent to any other machine: no share link, telemetry, hub theme or web font.

    Args:
        demo: What :func:`build_app` returned.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        at_once: What :func:`build_app` was given.

    Raises:
        ConfigError: If the port is taken, or the address is not this machine's.
    """
    _bypass_proxies(host)
    port = _checked_port(host, port)
    try:
        _, address, _ = demo.launch(
            server_name=host,
            server_port=port,
            theme=build_theme(),
            css=CSS,
            head=HEAD,
            quiet=True,
            prevent_thread_lock=True,
            inbrowser=False,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size="1kb",
            max_threads=at_once + _SPARE_THREADS,
        )
    except OSError as exc:
        raise ConfigError(_taken(port)) from exc  # taken since it was checked
    return address


def serve(
    qa: Library,
    host: str = "127.0.0.1",
    port: int = 7860,
    open_browser: bool = False,
    at_once: int = DEFAULT_AT_ONCE,
) -> None:
    """Serve the chat page and block until interrupted; the address is written to standard output."""
    demo = build_app(qa, at_once)
    address = launch(demo, host, port, at_once)
    sys.stdout.write(f"Citewell is open at {address}\nPress Ctrl+C to stop.\n")
    sys.stdout.flush()
    if open_browser:
        import webbrowser

        webbrowser.open(address)
    demo.block_thread()


def _drawn_html(template: str, script: str, elem_id: str) -> gr.HTML:
    """Return a component whose value is a list of HTML pieces that its script draws.

    Not ``gr.Chatbot``: that reads messages as Markdown, which would find markup in the text of papers.
    """
    return gr.HTML([], html_template=template, js_on_load=script, elem_id=elem_id, apply_default_css=False)


def _updates(view: View, *, box: str | None = None) -> list[Any]:
    """Return the new values of box, conversation, sources, examples and actions; without ``box``, typed text stays."""
    field: dict[str, Any] = {"submit_btn": False if view.busy else "Ask", "stop_btn": "Stop" if view.busy else False}
    if box is not None:
        field["value"] = box
    started = bool(view.conversation)
    return [
        gr.update(**field),
        view.conversation,
        view.sources,
        gr.update(visible=not started),
        gr.update(visible=started),
    ]


def _bypass_proxies(host: str) -> None:
    """Keep Gradio's start-up call to its own server away from a proxy that the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [part for part in os.environ.get(name, "").split(",") if part]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, *_LOCAL_HOSTS, host]))


def _checked_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0. Gradio's own complaint speaks of its variables and functions."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # elsewhere this option would let the probe share a taken port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            free: int = probe.getsockname()[1]
            return free
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(_taken(port)) from exc
        raise ConfigError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc


def _taken(port: int) -> str:
    other = port + 1 if port < 65535 else port - 1
    return f"Port {port} is in use. Name another: citewell ui --port {other}"
