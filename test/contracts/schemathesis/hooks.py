"""What Schemathesis cannot know from the document: cursors, tickets that exist, and that waiting takes time."""

import base64
import os
import re

import schemathesis
from hypothesis import strategies as st

TICKETS = os.environ["TICKETS"].split(",")
TICKET_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)

LATEST = 4_102_444_800_000  # the year 2100
WAITS = [str(seconds) for seconds in range(1, 31)]


@st.composite
def cursors(draw):
    milliseconds = draw(st.integers(0, LATEST))
    order_id = draw(st.text("0123456789abcdef", min_size=24, max_size=24))
    position = f"{milliseconds}.{order_id}".encode()
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


schemathesis.openapi.format("cursor", cursors())


@schemathesis.hook
def map_body(context, body):
    """Every other valid id becomes the id of a ticket that can be ordered; what is invalid stays as it is."""
    ticket_id = body.get("ticketId") if isinstance(body, dict) else None
    if isinstance(ticket_id, str) and TICKET_ID.fullmatch(ticket_id) and int(ticket_id, 16) % 2 == 0:
        return {**body, "ticketId": TICKETS[int(ticket_id, 16) // 2 % len(TICKETS)]}
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """Waits for a second at most; what is invalid stays as it is."""
    wait = (case.query or {}).get("wait")
    if str(wait) in WAITS:
        case.query["wait"] = 1
