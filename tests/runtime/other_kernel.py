"""Another kernel that works on the file `shared.sqlite`: it dies in the middle, or holds its answers back.

Its arguments are what it does, a number for that, its home, and what it keeps (by default the answers). It appends
each prompt that it asks to `asked.txt`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from copilot_nb.experiments.api import compare
from copilot_nb.experiments.progress import Progress
from copilot_nb.named_sessions.api import drop_manager, shared_manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ChatRequest, Reply, ScriptedModel

MODE, NUMBER, HOME, KEEP = sys.argv[1], int(sys.argv[2]), sys.argv[3], "".join(sys.argv[4:]) or "answers"


def reply(request: ChatRequest) -> Reply:
    with Path("asked.txt").open("a", encoding="utf-8") as file:
        file.write(f"{request.prompt}\n")
    return Reply("from the other kernel", stall_after_chars=4 if MODE == "hold" else None)


def die_after(progress: Progress) -> None:
    if MODE == "die-after" and progress.done >= NUMBER:
        os.kill(os.getpid(), signal.SIGKILL)


def let_go_when_told(model: ScriptedModel) -> None:
    sys.stdin.read()
    model.release()


settings = CopilotNB(home=HOME, offline=True, provider="scripted", max_parallel_turns=2)
model = ScriptedModel(reply)
manager = shared_manager(settings)
manager.providers.add(InKernel("scripted", lambda: model))
if MODE == "hold":
    threading.Thread(target=let_go_when_told, args=(model,), daemon=True).start()
prompts = [f"question {each}" for each in range(20)]
compare(prompts, models="scripted", store="shared.sqlite", keep=KEEP, on_progress=die_after)
drop_manager()
