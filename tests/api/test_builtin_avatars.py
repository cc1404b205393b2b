"""The ids that unmodified clients send, over HTTP on a fresh installation."""

from pathlib import Path

from cli.library.builtin import BUILTIN, provide_builtins
from support.api_system import ROOM, ApiSystem
from support.pictures import cache_folder


async def test_a_session_starts_by_each_id_that_clients_send(api_system: ApiSystem, detector_path: Path) -> None:
    """For an account that has uploaded nothing, in every shape; it cannot delete what is everybody's."""
    await provide_builtins(api_system.settings, cache_folder())
    key = await api_system.account()
    for avatar_id, ratio in zip(BUILTIN, ("4:3", "3:4", "1:1", "auto"), strict=True):
        await api_system.a_slot_is_free()
        body = {"avatar": avatar_id, "room": {**ROOM, "token": f"token of {avatar_id}"}, "aspect_ratio": ratio}
        status, created = await api_system.request("POST", "/v1/sessions", json=body, key=key)
        assert (status, created["session"]["status"]) == (201, "started"), created
        ended, _ = await api_system.request("POST", f"/v1/sessions/{created['session']['session_id']}/end", key=key)
        assert ended == 200
        status, refused = await api_system.request("DELETE", f"/v1/avatars/{avatar_id}", key=key)
        assert (status, refused["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    _, listed = await api_system.request("GET", "/v1/avatars", key=key)
    assert {one["avatar_id"] for one in listed["public_avatars"]} >= BUILTIN.keys()
