"""Run the scenarios under Microsoft's AutoGen 0.2, in its own environment.

    python run_in_old_autogen.py FOLDER_OF_A_MODEL

The last line it prints is JSON: the versions, and for each scenario null or how it failed. One more is
about the cache, which the newer one has no longer.
"""

import json
import sys
import tempfile
import traceback
from pathlib import Path

import autogen
import drive_classic
import scenarios
from frameworks import versions

from kit.adapters import registrable


async def a_reply_comes_out_of_the_cache(drive):
    client = scenarios.Own(scenarios.ENTRY, "asked once")
    question = [{"role": "user", "content": "Is anybody there?"}]
    for _ in range(2):
        config = {"config_list": [drive.entry_of(client)]}  # the seed 41, if nobody sets one
        agent = autogen.AssistantAgent("a", llm_config=config, human_input_mode="NEVER")
        agent.register_model_client(registrable(client))
        assert agent.generate_reply(question) == "asked once"
    assert len(client.calls) == 1


scenarios.SCENARIOS["a_reply_comes_out_of_the_cache"] = a_reply_comes_out_of_the_cache
a_reply_comes_out_of_the_cache.needs = None
results = {}
for name, check in scenarios.SCENARIOS.items():
    if check.needs in drive_classic.LACKS:
        continue
    with tempfile.TemporaryDirectory() as folder:
        things = {"folder": Path(folder), "local_model_folder": sys.argv[1]}
        wanted = check.__code__.co_varnames[1 : check.__code__.co_argcount]
        try:
            scenarios.run(check, drive_classic, **{thing: things[thing] for thing in wanted})
            results[name] = None
        except BaseException:
            results[name] = traceback.format_exc()
print(json.dumps({"versions": versions(["autogen-agentchat"]), "results": results}))
