"""The command `mfcl explore`: a local web page to see, hear and label a collection."""

import argparse
import sys

from mfcl.cli import options
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    explore = command("explore", _explore, "see, hear and label a collection on a local web page")
    explore.add_argument("place", type=options.path, help="a study, a run, or an .npz file of mfcl embed")
    explore.add_argument("--audio", type=options.path, metavar="DATA", help="the recordings: a list, corpus or folder")
    options.data_root(explore)
    explore.add_argument("--model", type=options.path, help="the model of an .npz file, to search by a dropped file")
    explore.add_argument(
        "--labels", type=options.path, metavar="FILE", help="file of the labels; by default in the run"
    )
    explore.add_argument("--who", help="name that is kept with each label; by default the account's")
    explore.add_argument("--port", type=options.number(0, 65_535), default=8450, help="0: any free one")
    explore.add_argument("--host", default="127.0.0.1", help="address to listen at; others need --allow-remote")
    explore.add_argument("--allow-remote", action="store_true", help="let other computers reach the page")
    explore.add_argument("--open", action="store_true", help="open the page in a browser")
    options.quiet(explore)


def _explore(given: argparse.Namespace) -> None:
    from mfcl.explore.serving import bound_socket, check_host

    check_host(given.host, allow_remote=given.allow_remote)
    try:
        from mfcl.explore.app import make_app
        from mfcl.explore.guard import Guard, new_token
        from mfcl.explore.serving import serve
    except ModuleNotFoundError as error:
        raise MfclError(
            f"{error.name} is not installed, and `mfcl explore` needs it; install it with pip install 'mfcl[explore]'"
        ) from None
    from mfcl.explore.collection import open_collection
    from mfcl.explore.session import Session

    bound = bound_socket(given.host, given.port)
    with bound:
        collection = open_collection(
            given.place, audio=given.audio, data_root=given.data_root, model=given.model, progress=not given.quiet
        )
        for note in collection.notes:
            print(f"note: {note}", file=sys.stderr)
        session = Session(collection, labels=given.labels, who=given.who)
        try:
            port, token = bound.getsockname()[1], new_token()
            app = Guard(make_app(session), token=token, host=given.host, port=port)
            name = f"[{given.host}]" if ":" in given.host else given.host
            address = f"http://{name}:{port}/?token={token}"

            def ready() -> None:
                print(f"{collection.name}: {len(collection)} clips; labels are kept in {session.book.path}")
                print(f"open {address}\nCtrl-C stops", flush=True)
                session.prepare()
                if given.open:
                    import webbrowser

                    webbrowser.open(address)

            serve(app, bound, ready=ready)
        finally:
            session.close()
