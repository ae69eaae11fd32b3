"""The command `mfcl explore`: a local web page to see, hear and label a collection."""

import argparse
import webbrowser
from typing import Any

from mfcl.cli import options
from mfcl.core.console import counted, print_notes, worded
from mfcl.core.files import check_file_place, check_not_input
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    explore = command("explore", _explore, "see, hear and label a collection on a local web page")
    explore.add_argument("place", type=options.path, help="a study, a run, or an .npz file or parts of mfcl embed")
    explore.add_argument(
        "--audio", type=options.source, metavar="DATA", help="the recordings: a list, corpus or folder"
    )
    options.data_root(explore)
    explore.add_argument("--model", type=options.path, help="the model of an .npz file, to search by a dropped file")
    explore.add_argument(
        "--labels", type=options.path, metavar="FILE", help="file of the labels; by default in the run"
    )
    explore.add_argument(
        "--gallery", metavar="FILE", help="a gallery of voices of the same model, to say whose voice a clip or file has"
    )
    explore.add_argument("--who", help="name that is kept with each label; by default the account's")
    explore.add_argument(
        "--port", type=options.number(0, 65_535), default=8450, help="8450 if left out; 0: any free one"
    )
    explore.add_argument("--host", default="127.0.0.1", help="address to listen at; others need --allow-remote")
    explore.add_argument("--allow-remote", action="store_true", help="let other computers reach the page")
    explore.add_argument("--open", action="store_true", help="open the page in a browser")
    explore.add_argument("--export", type=options.path, metavar="DIR", help="write a site that needs no server")
    explore.add_argument("--parquet", type=options.path, metavar="FILE", help="write a table for embedding-atlas")
    explore.add_argument("--with-audio", action="store_true", help="put the sound into --export and --parquet too")
    options.quiet(explore)


def _explore(given: argparse.Namespace) -> None:
    from mfcl.web.sockets import bound_socket, check_host

    check_host(
        given.host, allow_remote=given.allow_remote,
        then="the page, and whoever has its address hears and labels your recordings",
    )  # fmt: skip
    try:
        import uvicorn  # noqa: F401  # `serve` loads it later; that it is not there is told here

        from mfcl.explore.app import make_app
        from mfcl.explore.guard import Guard
        from mfcl.web.guard import new_token
        from mfcl.web.sockets import serve
    except ModuleNotFoundError as error:
        raise MfclError(
            f"{error.name} is not installed, and `mfcl explore` needs it; install it with pip install 'mfcl[explore]'"
        ) from None
    if given.export or given.parquet:
        if given.gallery:
            raise MfclError("--gallery is for the page; sites and tables hold no voices: leave one of the two out")
        return _write(given)
    with bound_socket(given.host, given.port) as bound:
        session = _opened(given)
        try:
            port, token = bound.getsockname()[1], new_token()
            app = Guard(make_app(session), token=token, host=given.host, port=port)
            name = f"[{given.host}]" if ":" in given.host else given.host
            address = f"http://{name}:{port}/?token={token}"

            def ready() -> None:
                about = session.collection
                print(f"{about.name}: {worded(len(about), 'clip')}; labels are kept in {session.book.path}")
                print(f"open {address}\nCtrl-C stops", flush=True)
                session.prepare()
                if given.open:
                    webbrowser.open(address)

            serve(app, bound, ready=ready)
        finally:
            session.close()


def _opened(given: argparse.Namespace) -> Any:
    from mfcl.explore.collection import open_collection
    from mfcl.explore.session import Session

    collection = open_collection(
        given.place, audio=given.audio, data_root=given.data_root, model=given.model, progress=not given.quiet
    )
    print_notes(collection.notes)
    session = Session(collection, labels=given.labels, who=given.who, gallery=given.gallery)
    print_notes(() if session.voices is None else session.voices.notes)
    return session


def _write(given: argparse.Namespace) -> None:
    from mfcl.explore.parquet import write_parquet
    from mfcl.explore.site import write_site

    if given.parquet:
        check_file_place(given.parquet)
        check_not_input(given.parquet, given.place, given.audio)
    session = _opened(given)
    try:
        if given.export:
            heard, silent = write_site(session, given.export, audio=given.with_audio, shown=not given.quiet)
            sound = (
                f", {heard} with sound" + (f", {silent} cannot be read" if silent else "") if given.with_audio else ""
            )
            print(
                f"{given.export / 'index.html'}: {worded(len(session.collection), 'clip')}{sound}; open it in a browser"
            )
        if given.parquet:
            write_parquet(session, given.parquet, audio=given.with_audio)
            print(f"{given.parquet}: {worded(len(session.collection), 'row')}")
        if session.assistant.silent:
            print_notes([f"{counted(session.assistant.silent, 'silent clip')} without a guess"])
    finally:
        session.close()
