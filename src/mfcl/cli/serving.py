"""The command `mfcl serve`: an HTTP endpoint of a model."""

import argparse

from mfcl.cli import options
from mfcl.core.console import print_notes
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    serve = command("serve", _serve, "answer requests: a file in; embedding, class and voice out (extra: serve)")
    serve.add_argument("model", type=options.path, help="a run folder or a checkpoint folder")
    serve.add_argument("--classifier", type=options.path, metavar="FOLDER", help="of mfcl classify --fit")
    serve.add_argument("--gallery", metavar="PLACE", help="a gallery of mfcl voices create")
    serve.add_argument("--port", type=options.number(0, 65_535), default=8451, help="8451 if left out; 0: any free one")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at; others need --allow-remote")
    serve.add_argument("--allow-remote", action="store_true", help="let other computers ask, with the printed token")
    options.machine(serve)


def _serve(given: argparse.Namespace) -> None:
    from mfcl.web.sockets import LOCAL, bound_socket, check_host

    check_host(given.host, allow_remote=given.allow_remote, then="this model with the token that is printed")
    try:
        import uvicorn  # noqa: F401  # `serve` loads it later; that it is not there is told here

        from mfcl.serving.app import Guard, make_app
        from mfcl.web.guard import new_token
        from mfcl.web.sockets import serve
    except ModuleNotFoundError as error:
        raise MfclError(
            f"{error.name} is not installed, and `mfcl serve` needs it; install it with pip install 'mfcl[serve]'"
        ) from None
    from mfcl.core.machine import use_machine
    from mfcl.serving.service import Service

    use_machine(given.threads)
    with bound_socket(given.host, given.port) as bound:
        service = Service(given.model, classifier=given.classifier, gallery=given.gallery, device=given.device)
        try:
            port, token = bound.getsockname()[1], None if given.host in LOCAL else new_token()
            print_notes(service.notes())
            app = Guard(make_app(service), token=token, host=given.host, port=port)
            name = f"[{given.host}]" if ":" in given.host else given.host

            def ready() -> None:
                print(f"POST a file to http://{name}:{port}/sound; described by http://{name}:{port}/openapi.json")
                if token is not None:
                    print(f"with the header Authorization: Bearer {token}")
                print("Ctrl-C stops", flush=True)

            serve(app, bound, ready=ready)
        finally:
            service.close()
