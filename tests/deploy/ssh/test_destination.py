import pytest

from segeval.deploy.ssh.destination import Destination, parse_destination, parse_destinations
from segeval.deploy.ssh.place import require_plain
from segeval.deploy.ssh.remote import Remote
from segeval.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected", "for_ssh"),
    [
        ("orin", ("", "orin", 0), "orin"),
        ("jetson@192.168.1.20", ("jetson", "192.168.1.20", 0), "jetson@192.168.1.20"),
        ("a.b-c@orin.lan:2222", ("a.b-c", "orin.lan", 2222), "a.b-c@orin.lan"),
        ("jetson@[fe80::1%eth0]:22", ("jetson", "[fe80::1%eth0]", 22), "jetson@fe80::1%eth0"),
        ("[::1]", ("", "[::1]", 0), "::1"),
    ],
)
def test_the_forms_of_a_host(text: str, expected: tuple[str, str, int], for_ssh: str) -> None:
    found = parse_destination(text)
    assert found == Destination(text, *expected)
    assert found.for_ssh == for_ssh


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-oProxyCommand=touch /tmp/x",
        "-oProxyCommand=x@host",
        "user@-oProxyCommand=x",
        "user@-v",
        "--",
        "host name",
        "host;reboot",
        "host$(reboot)",
        "host\n",
        "a@b@c",
        "user@",
        "@host",
        "host:",
        "host:22:33",
        "host:99999",
        "host:-1",
        "host:/etc",
        "host::module",
        "::1",
        "[::1",
        "rsync://host/module",
        "../host",
        "höst",
    ],
)
def test_nothing_else_is_a_host(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host"):
        parse_destination(text)


def test_two_devices_whose_results_would_mix_are_refused() -> None:
    assert [each.folder for each in parse_destinations(["a@h:22", "a@h:23"])] == ["a@h_22", "a@h_23"]
    for twice in (["h", "h"], ["h:22", "h_22"]):
        with pytest.raises(ConfigurationError, match="is given twice"):
            parse_destinations(twice)


@pytest.mark.parametrize("text", ["", "-rf", "a b", "$HOME/x", "~other/x", "a'b", "a;b", "a\nb", "`x`", "a\\b", "a*"])
def test_paths_that_a_shell_could_misread_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        require_plain(text, "--remote-dir")
    with pytest.raises(ConfigurationError, match="--remote-python"):
        Remote(python=text).checked()


def test_a_python_in_the_home_folder_needs_no_shell_to_be_found() -> None:
    assert Remote(python="~/venv/bin/python").checked().python == "./venv/bin/python"
    assert Remote(python="python3.10").checked().python == "python3.10"
