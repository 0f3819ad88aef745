"""What containers say, with their run token. The run and attempt are the token's, whatever the body says."""

from __future__ import annotations

from dispatcher import callbacks
from dispatcher.http.bodies import CallbackForm, StateForm
from dispatcher.http.calls import Call
from dispatcher.http.messages import Reply
from dispatcher.http.run_views import CallbackView, HeartbeatView, ParametersView


def say(call: Call, *, form: StateForm) -> Reply:
    run = callbacks.say(call.context, call.token, form.word())
    seconds = call.context.patience.heartbeat.total_seconds()
    return Reply(view=CallbackView(state=run.state.type, heartbeat_seconds=seconds))


def beat(call: Call, *, form: CallbackForm) -> Reply:
    answer = callbacks.beat(call.context, call.token, form.instance)
    return Reply(view=HeartbeatView(heartbeat_seconds=answer["heartbeat_seconds"], token=answer.get("token")))


def show_parameters(call: Call) -> Reply:
    return Reply(view=ParametersView(parameters=dict(callbacks.parameters(call.context, call.token))))
