"""What comes and goes beside the page, asked for without a browser."""

import asyncio
import errno
import http.client
import http.cookiejar
import io
import json
import os
import socket
import threading
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import tifffile
from small_lab import wait_until, write_video

import cloudtrainer
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.studio import server as server_module
from cloudtrainer.studio import transfer
from cloudtrainer.training.model_import import import_model
from cloudtrainer.workspace import Workspace


class Client:
    """Somebody with the token, or without."""

    def __init__(self, address, token):
        parts = urlsplit(address)
        self.query = parts.query
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.host, self.port = parts.hostname, parts.port
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        if token:
            self.ask("/?" + parts.query)

    def ask(self, path, data=None, **headers):
        """Return status, text or bytes, and the headers of an answer."""
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def send(self, name, content):
        """Upload; return status and what is said."""
        status, said, _ = self.ask(
            "/upload?name=" + quote(name), content, **{"X-Cloudtrainer": "upload"}
        )
        return status, said.decode()

    @property
    def cookie(self):
        """The cookie as it is sent."""
        return "; ".join(f"{one.name}={one.value}" for one in self.jar)


def serve(place):
    """Serve a workspace in a thread; return its address and what ends it."""
    ready, box = threading.Event(), {}

    async def run():
        server, box["address"] = server_module.make_server(place, 0)
        server.start()
        box["end"], box["loop"] = asyncio.Event(), asyncio.get_running_loop()
        ready.set()
        await box["end"].wait()
        server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(30)

    def end():
        box["loop"].call_soon_threadsafe(box["end"].set)
        thread.join(10)

    return box["address"], end


@pytest.fixture
def client(place):
    address, end = serve(place)
    yield Client(address, token=True)
    end()


def test_the_token_is_taken_once_and_leaves_the_address(client, place):
    status, page, headers = client.ask("/")
    assert status == 200
    assert b"cloudtrainer Studio" in page
    (cookie,) = client.jar
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert "token" not in headers.get("Location", "")


def test_a_token_cannot_send_the_browser_to_another_site(client):
    line = http.client.HTTPConnection(client.host, client.port)
    line.request("GET", f"//evil.example/?{client.query}&a=1")
    answer = line.getresponse()
    assert answer.status == 302
    assert answer.getheader("Location") == "/evil.example/?a=1"


@pytest.mark.parametrize("cookie", ["", "cloudtrainer_1=x", "cloudtrainer_{port}=wrong"])
def test_another_cookie_opens_nothing(client, cookie):
    stranger = Client(client.base, token=False)
    status, said, _ = stranger.ask("/", Cookie=cookie.format(port=client.port))
    assert status == 403
    assert b"with its token" in said


def test_an_upload_is_streamed_checked_and_named(client, place, tmp_path):
    write_video(tmp_path / "x.tif", seed=3, frames=2)
    content = (tmp_path / "x.tif").read_bytes()
    assert client.send("../../new ä.tif", content) == (
        200, "Added new ä.tif: 2 frames of 128 x 128 px.",
    )  # fmt: skip
    assert (place.videos / "new ä.tif").read_bytes() == content
    assert client.send("new ä.tif", content)[0] == 409
    status, said = client.send("fake.tif", b"no video")
    assert status == 415
    assert "fake.tif" in said
    assert ".sending" not in said
    assert client.send("x_particles.csv", b"frame,x,y\n0,1,1\n")[0] == 200
    assert client.send("..", b"")[0] == 409
    names = sorted(path.name for path in place.videos.iterdir())
    assert names == ["beads.tif", "new ä.tif", "notes.doc", "unlabelled.tif"]


def test_a_model_that_is_sent_is_looked_at_and_kept_apart_until_then(client, place, tmp_path):
    bundled = Path(cloudtrainer.__file__).parent / "models" / "default"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in bundled.iterdir():
            archive.write(file, f"v_20260101_000000/{file.name}")
    content = packed.getvalue()
    status, said = client.send("../my <model>.zip", content)
    assert (status, said) == (
        200, "Added my _model_.zip as the model v_20260101_000000; it is the current one, for "
        "there was none.",
    )  # fmt: skip
    status, said = client.send("again.zip", content)
    assert status == 415
    assert said == "again.zip: is in the workspace already, as v_20260101_000000"
    for name, bad in (("cut.zip", content[:5000]), ("text.pth", b"no"), ("x.ckpt", b"")):
        status, said = client.send(name, bad)
        assert status == 415
        assert said.startswith(f"{name}: ")
        assert str(place.root) not in said
    assert [path.name for path in place.models.iterdir()] == ["v_20260101_000000"]
    status, zipped, _ = client.ask("/zip/models/v_20260101_000000.zip")
    assert status == 200
    # What was taken along from one workspace is taken in by another.
    other = Workspace.create(tmp_path / "other")
    (tmp_path / "download.zip").write_bytes(zipped)
    assert import_model(tmp_path / "download.zip", other).name == "v_20260101_000000"


def test_a_disk_that_is_full_at_any_piece_is_told_and_nothing_is_kept(client, place, monkeypatch):
    class Full(io.BytesIO):
        def write(self, piece):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(self, path):
        self._unfinished(path).touch()
        return Full()

    monkeypatch.setattr(transfer.Upload, "_open", open_full)
    for name in ("new.tif", "new.csv", "new.zip"):
        status, said = client.send(name, bytes(3_000_000))
        assert (status, said) == (
            507, f"{name}: the disk of the workspace is full; nothing was kept. Make room, and "
            "send it again",
        )  # fmt: skip
    for folder in (place.videos, place.annotations, place.models):
        assert not [path for path in folder.rglob("*") if "new" in path.name]


def test_what_a_killed_page_left_does_not_keep_its_name_for_ever(client, place, tmp_path):
    write_video(tmp_path / "x.tif", frames=2)
    left = place.videos / ".sending-x.tif"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert client.send("x.tif", (tmp_path / "x.tif").read_bytes())[0] == 200
    assert not left.exists()


def test_another_sites_form_uploads_nothing(client, place):
    status, *_ = client.ask("/upload?name=new.csv", b"frame,x,y\n")
    assert status == 403
    assert not (place.annotations / "new.csv").exists()


def test_an_upload_that_breaks_off_leaves_nothing(client, place):
    with socket.create_connection((client.host, client.port)) as line:
        line.sendall(
            f"POST /upload?name=half.tif HTTP/1.1\r\nHost: {client.host}:{client.port}\r\n"
            f"Cookie: {client.cookie}\r\nX-Cloudtrainer: upload\r\nContent-Length: 100000\r\n\r\n"
            "begin".encode()
        )
        wait_until(lambda: (place.videos / ".sending-half.tif").exists(), 10)
    wait_until(lambda: not (place.videos / ".sending-half.tif").exists(), 10)
    assert not (place.videos / "half.tif").exists()


def test_two_tabs_that_send_the_same_name_do_not_mix(client, place, tmp_path):
    write_video(tmp_path / "x.tif", frames=2)
    (place.videos / ".sending-x.tif").write_bytes(b"of the other tab")
    status, said = client.send("x.tif", (tmp_path / "x.tif").read_bytes())
    assert status == 409
    assert "being sent already" in said
    assert (place.videos / ".sending-x.tif").read_bytes() == b"of the other tab"


def test_a_disk_that_fills_up_during_an_upload_is_told(small_disk, tmp_path):
    place = Workspace.create(small_disk)
    address, end = serve(place)
    try:
        client = Client(address, token=True)
        status, said = client.send("large.tif", bytes(3_000_000))
        assert status == 507
        assert "disk of the workspace is full" in said
        assert list(place.videos.iterdir()) == []
        # The page goes on, and takes what fits.
        assert client.send("x_particles.csv", b"frame,x,y\n0,1,1\n")[0] == 200
    finally:
        end()


def test_memory_does_not_grow_with_the_size_of_an_upload(client, place, tmp_path):
    import resource

    path = tmp_path / "large.tif"
    tifffile.imwrite(path, shape=(150, 1000, 1000), dtype="uint16", metadata={"axes": "TYX"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = path.stat().st_size
    line = http.client.HTTPConnection(client.host, client.port)
    with path.open("rb") as file:
        line.request(
            "POST", "/upload?name=large.tif", body=file,
            headers={
                "Cookie": client.cookie, "X-Cloudtrainer": "upload", "Content-Length": str(size)
            },
        )  # fmt: skip
    assert line.getresponse().status == 200
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < size / 4


def test_results_are_given_and_nothing_outside_them(client, place):
    folder = place.results / "run 1"
    folder.mkdir()
    (folder / "report.html").write_text("<p>report</p>")
    (folder / "summary.json").write_text(json.dumps({}))
    (place.root / "secret.txt").write_text("secret")
    assert client.ask("/results/run%201/report.html")[:2] == (200, b"<p>report</p>")
    for path in (
        "/results/../secret.txt", "/results/%2e%2e/secret.txt", "/results/..%2fsecret.txt",
        "/zip/results/...zip", "/zip/results/..%2f..zip", "/zip/other/x.zip", "/zip/results/no.zip",
    ):  # fmt: skip
        line = http.client.HTTPConnection(client.host, client.port)
        line.request("GET", path, headers={"Cookie": client.cookie})
        answer = line.getresponse()
        assert answer.status in (403, 404), path
        assert b"secret" not in answer.read()
    status, content, headers = client.ask("/zip/results/run%201.zip")
    assert status == 200
    assert 'filename="run 1.zip"' in headers["Content-Disposition"]
    assert sorted(zipfile.ZipFile(io.BytesIO(content)).namelist()) == [
        "run 1/report.html", "run 1/summary.json",
    ]  # fmt: skip


def test_a_port_that_is_taken_is_told(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WorkspaceError, match=f"port {port}"):
            server_module.make_server(place, port)


def test_it_listens_on_this_machine_alone(client):
    others = {
        info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    } - {"127.0.0.1"}
    for address in others:
        if address.startswith("127."):
            continue
        with pytest.raises(OSError):
            socket.create_connection((address, client.port), timeout=2)
