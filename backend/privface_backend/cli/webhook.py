"""``privface webhook …``, and how ``privface doctor`` looks at webhooks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import invocation
from privface_backend.cli.output import say, say_json

if TYPE_CHECKING:
    from privface_backend.settings_push import WebhookSettings
    from privface_backend.webhooks.delivery import Attempt

webhook = typer.Typer(help="Addresses that events are sent to: test one.", no_args_is_help=True)

_CONNECT_SECONDS: Final = 5.0


@webhook.callback()
def _webhook() -> None:
    """Addresses that events are sent to: test one."""


@webhook.command("test")
def send_test(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="Its number in the configuration, from 1.")] = 1,
) -> None:
    """Send a signed test message to a webhook, and show what it answers."""
    call = invocation(context)
    hooks = call.settings.webhooks
    if not hooks:
        raise typer.BadParameter("no webhooks are configured", param_hint="N")
    if not 1 <= number <= len(hooks):
        raise typer.BadParameter(f"expected 1 to {len(hooks)}", param_hint="N")
    hook = hooks[number - 1]
    message_id, attempt = asyncio.run(_send(hook))
    if call.json:
        say_json(
            {
                "webhook": number,
                "place": hook.place,
                "webhook_id": message_id,
                "delivered": attempt.delivered,
                "status": attempt.status,
                "reason": attempt.reason or None,
                "answer": attempt.text,
            }
        )
    else:
        say(f"Sent {message_id} to {hook.place}: {attempt.words}")
        for line in attempt.text.splitlines():
            say("  " + "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line))
    if not attempt.delivered:
        raise typer.Exit(Exit.NETWORK if attempt.status is None else Exit.UNFINISHED)


async def _send(hook: WebhookSettings) -> tuple[str, Attempt]:
    from privface_backend.core import utc_now  # noqa: PLC0415  # the help needs no aiohttp
    from privface_backend.webhooks.delivery import open_sender  # noqa: PLC0415  # as above
    from privface_backend.webhooks.messages import trial_message  # noqa: PLC0415  # as above

    message = trial_message(utc_now())
    async with open_sender(hook, utc_now) as sender:
        return message.id, await sender.send(message)


def leaves_home_unencrypted(hook: WebhookSettings) -> bool:
    """Whether a webhook's events can be read on their way through the internet."""
    from yarl import URL  # noqa: PLC0415  # as above

    from privface_backend.domain.addresses import is_home_name, is_private, read_address  # noqa: PLC0415  # as above

    url = URL(hook.url)
    host = url.raw_host or ""
    address = read_address(host)
    return url.scheme == "http" and not (is_home_name(host) if address is None else is_private(address))


async def reach(hook: WebhookSettings) -> str:
    """Why a webhook's host can't be sent to, without sending anything; empty: it can."""
    from yarl import URL  # noqa: PLC0415  # as above

    from privface_backend.domain.addresses import read_address  # noqa: PLC0415  # as above
    from privface_backend.resolver import resolve_host  # noqa: PLC0415  # as above
    from privface_backend.webhooks.guard import GuardedResolver, RefusedAddressError  # noqa: PLC0415  # as above

    url = URL(hook.url)
    host, port = url.raw_host or "", url.port or 0
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            if read_address(host) is None:
                resolver = GuardedResolver(resolve_host, allow_private=hook.allow_private)
                host = (await resolver.resolve(host, port))[0]["host"]
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except RefusedAddressError as error:
        return str(error)
    except (OSError, TimeoutError, IndexError):
        return "doesn't answer"
    return ""
