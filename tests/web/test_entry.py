"""Coming in and going out."""

from __future__ import annotations

from heed.web.studio import Studio

PASSWORD = "four words of sense"


def test_a_link_works_once_and_makes_an_account(studio: Studio, client_as) -> None:  # type: ignore[no-untyped-def]
    token = studio.people.owner_link()
    browser = client_as("anyone")
    assert browser.get(f"/join/{token}").status_code == 200
    form = {"name": "Ann", "password": PASSWORD, "again": PASSWORD}
    done = browser.post(f"/join/{token}", form)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/").headers["location"] == "/lead"
    assert client_as("anyone").post(f"/join/{token}", form | {"name": "Eve"}).status_code == 404
    assert [one.name for one in studio.people.accounts()] == ["Ann"]


def test_signing_in_makes_a_new_session_each_time(studio: Studio, client_as) -> None:  # type: ignore[no-untyped-def]
    token = studio.people.owner_link()
    first = client_as("anyone")
    first.post(f"/join/{token}", {"name": "Ann", "password": PASSWORD, "again": PASSWORD})
    again = client_as("anyone")
    assert again.post("/login", {"name": "ann", "password": "wrong password"}).status_code == 422
    assert again.post("/login", {"name": "ann", "password": PASSWORD}).status_code == 303
    assert again.client.cookies["heed"] != first.client.cookies["heed"]
    session = studio.people.session(again.client.cookies["heed"])
    assert session is not None
    assert again.client.post("/logout", data={"csrf": session.csrf}).status_code == 303
    assert studio.people.session(session.token) is None


def test_a_stranger_is_sent_to_the_door(client_as) -> None:  # type: ignore[no-untyped-def]
    stranger = client_as("anyone")
    assert stranger.get("/work").headers["location"] == "/login"
    assert stranger.api("/api/next").status_code == 401


def test_a_forged_request_is_refused(client_as) -> None:  # type: ignore[no-untyped-def]
    owner = client_as("owner")
    assert owner.client.post("/settings", data={"theme": "dark"}).status_code == 403
    assert owner.client.post("/settings", data={"theme": "dark", "csrf": owner.csrf}).status_code == 303
    headers = {"x-heed-csrf": owner.csrf, "origin": "https://evil.example"}
    assert owner.client.post("/settings", data={"theme": "dark"}, headers=headers).status_code == 403
