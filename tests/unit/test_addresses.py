"""Addresses in settings: TLS alone, no credentials in them, no host that only a server reaches."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.adapters.smtp_mail import SmtpAddress
from shared.domain.addresses import check_connection_string, check_host, check_smtp_url, checked_url, is_loopback
from shared.settings import Settings

GOOD = [
    "https://adb-1.azuredatabricks.net",
    "https://dev.azure.com/o/p/_git/r",
    "https://vault.vault.azure.net/",
    "https://10.1.2.3:8443/x",
    "https://[fd12:3456::1]/x",
    "http://127.0.0.1:7071",
    "http://localhost:8080/notebooks.git",
    "http://[::1]:10000/devstoreaccount1",
    "http://127.8.9.1",
]
BAD = [
    "http://adb-1.azuredatabricks.net",
    "http://10.0.0.4",
    "http://localhost.example.com",
    "http://127.0.0.1.nip.io",
    "http://localhost@evil.example.com",
    "https://user:password@dev.azure.com/o",
    "https://org@dev.azure.com/org/p/_git/r",
    "https://@dev.azure.com/x",
    "https://169.254.169.254/metadata/identity",
    "http://169.254.169.254/",
    "https://169.254.1.1",
    "https://168.63.129.16/machine",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://metadata.google.internal/",
    "https://METADATA.google.internal./",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.43518/",
    "https://169.254.169.254./",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://",
    "https:///x",
    "https://a b.example.com",
    "https://evil.example.com\\@dev.azure.com",
    "https://x\n.example.com",
    "https://x\t.example.com",
    "https://-x.example.com",
    "https://x..example.com",
    "https://x:port",
    "https://x:99999",
    "https://ｅxample.com@x",
    "file:///etc/passwd",
    "ssh://git@example.com/r",
    "git://example.com/r",
    "ext::sh -c id",
    "ftp://example.com",
    "javascript:alert(1)",
    "/srv/git/notebooks.git",
    "dev.azure.com/o/p",
    "",
]
NEEDED = {"databricks_host": "adb-1.azuredatabricks.net", "git_remote_url": "https://dev.azure.com/o/p/_git/r"}
ADDRESSES = {
    "databricks_host": "DATABRICKS_HOST",
    "git_remote_url": "GIT_REMOTE_URL",
    "pat_api_url": "BACKUP_PAT_API_URL",
    "storage_blob_uri": "AzureWebJobsStorage__blobServiceUri",
    "storage_queue_uri": "AzureWebJobsStorage__queueServiceUri",
    "storage_table_uri": "AzureWebJobsStorage__tableServiceUri",
    "mail_endpoint": "BACKUP_MAIL_ENDPOINT",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "audit_anchor_uri": "BACKUP_AUDIT_ANCHOR_URI",
    "key_vault_uri": "KEY_VAULT_URI",
    "app_url": "BACKUP_URL",
}


@pytest.mark.parametrize("url", GOOD)
def test_an_address_with_tls_or_of_this_machine_is_taken(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize("url", BAD)
def test_any_other_address_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        checked_url(url)
    assert "password" not in str(caught.value).replace("no password", "")


LINK_LOCAL = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))


@given(st.sampled_from(LINK_LOCAL).flatmap(lambda net: st.integers(int(net[0]), int(net[-1])).map(net[0].__class__)))
def test_no_link_local_address_is_a_host_in_any_spelling(found: IPv4Address | IPv6Address) -> None:
    spelled = {str(found), found.exploded}
    if isinstance(found, IPv4Address):
        spelled |= {str(int(found)), hex(int(found)), f"::ffff:{found}", f"{str(found).rpartition('.')[0]}.0x1"}
    for host in spelled:
        with pytest.raises(ValueError, match="must"):
            check_host(host)
        assert not is_loopback(host)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_plain_http_is_for_loopback_addresses_alone(found: IPv4Address) -> None:
    try:
        checked_url(f"http://{found}/")
    except ValueError:
        assert not found.is_loopback
    else:
        assert found.is_loopback


@given(st.text(max_size=20))
def test_a_host_of_any_text_is_a_name_an_address_or_refused(host: str) -> None:
    try:
        check_host(host)
    except ValueError:
        return
    assert not set(host) & set("@/\\?#%: \t\r\n") or ip_address(host).version == 6


@pytest.mark.parametrize("field", ADDRESSES)
@pytest.mark.parametrize(
    "url", ["http://10.0.0.4/x", "https://somebody:hunter2@x.example.com", "https://169.254.169.254"]
)
def test_every_address_of_the_settings_is_checked_and_named_without_its_value(field: str, url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({**NEEDED, field: url})
    told = str(caught.value)
    assert ("hunter2" in told, url in told, ADDRESSES[field] in told or field in told) == (False, False, True)


def test_every_setting_that_names_an_address_is_in_the_table_above() -> None:
    fields = set(Settings.model_fields)
    named = {f for f in fields if f.endswith(("_url", "_uri", "_endpoint", "_host"))}
    others = {"smtp_url", "site_host", "consumption_host"}
    assert named - others == set(ADDRESSES), "check the new address in shared/settings.py, and name it here"


@pytest.mark.parametrize(
    "text",
    [
        "UseDevelopmentStorage=true",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aaaa==;EndpointSuffix=core.windows.net",
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=k;BlobEndpoint=http://127.0.0.1:10000/a",
        "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=1&sig=x",
        "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://x.in.applicationinsights.azure.com/",
        "no connection string",
    ],
)
def test_a_connection_string_with_tls_is_taken(text: str) -> None:
    check_connection_string(text)


@pytest.mark.parametrize(
    "text",
    [
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=secret-key",
        "AccountName=a;AccountKey=secret-key;BlobEndpoint=http://storage.example.com",
        "AccountName=a;AccountKey=secret-key;blobendpoint=http://10.0.0.4:10000/a",
        "AccountKey=secret-key;QueueEndpoint=https://u:secret-key@x.example.com",
        "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://storage.example.com",
        "InstrumentationKey=secret-key;IngestionEndpoint=http://x.example.com",
        "InstrumentationKey=secret-key;LiveEndpoint=https://169.254.169.254/",
    ],
)
@pytest.mark.parametrize("field", ["storage", "application_insights"])
def test_a_connection_string_without_tls_is_refused_and_not_quoted(field: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({**NEEDED, field: text})
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("smtp://mail.example.com:587", None),
        ("smtps://user:p@mail.example.com", None),
        ("smtp://127.0.0.1:2525?starttls=off", None),
        ("smtp://relay.internal:25?starttls=off", "starttls=off"),
        ("smtp://user:secret-key@relay.internal?x=1&starttls=off", "starttls=off"),
        ("smtp://169.254.169.254", "link-local"),
        ("http://mail.example.com", "smtp://"),
        ("smtp://", "host"),
    ],
)
def test_mail_goes_by_tls_but_on_this_machine(url: str, fault: str | None) -> None:
    if fault is None:
        check_smtp_url(url)
        parsed = SmtpAddress.parse(url)
        assert parsed.tls or parsed.starttls or is_loopback(parsed.host)
        return
    with pytest.raises(ValidationError, match=fault) as caught:
        Settings.model_validate({**NEEDED, "smtp_url": url})
    assert "secret-key" not in str(caught.value)
