//! Fixed messages for benchmarks and instruction counts.

const HEADER: &str = "Return-Path: <bounce@lists.example.org>\r\n\
Received: from mx.example.org (mx.example.org [192.0.2.1]) by mail.example.com with ESMTPS id abc123\r\n\
\tfor <user@example.com>; Tue, 24 Nov 2026 10:00:00 +0000\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1; h=from:to:subject:date;\r\n\
\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0I\r\n\
From: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <joerg@example.org>\r\n\
To: \"User, Some\" <user@example.com>, other@example.com, Third Person <third@example.net>\r\n\
Cc: list: a@example.org, b@example.org;\r\n\
Subject: Re: [list] =?utf-8?b?R3LDvMOfZSBhdXMgZGVtIFVybGF1Yg==?=\r\n\
Date: Tue, 24 Nov 2026 11:00:00 +0100 (CET)\r\n\
Message-ID: <20261124100000.12345@example.org>\r\n\
In-Reply-To: <first@example.com>\r\n\
References: <root@example.com> <first@example.com>\r\n\
MIME-Version: 1.0\r\n";

const LINE: &str =
    "The quick brown fox jumps over the lazy dog, as it has done for many years.\r\n";

/// A plain text of 2 kB, as lists carry it.
pub fn plain() -> Vec<u8> {
    format!(
        "{HEADER}Content-Type: text/plain; charset=utf-8\r\n\r\n{}",
        LINE.repeat(15)
    )
    .into_bytes()
}

/// Text and HTML in quoted-printable with an inline image: 30 kB.
pub fn newsletter() -> Vec<u8> {
    let html = "<tr><td style=3D\"color:#123\"><p>Gr=C3=BC=C3=9Fe &amp; more</p><a href=3D\"https:=\r\n//example.org/\">link</a></td></tr>\r\n";
    let image =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA\r\n";
    format!(
        "{HEADER}Content-Type: multipart/related; boundary=\"rel\"\r\n\r\n--rel\r\n\
         Content-Type: multipart/alternative; boundary=\"alt\"\r\n\r\n--alt\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--alt\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--alt--\r\n\
         --rel\r\nContent-Type: image/png; name=\"logo.png\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-ID: <logo>\r\nContent-Disposition: inline; filename=\"logo.png\"\r\n\r\n{}--rel--\r\n",
        LINE.repeat(60),
        html.repeat(120),
        image.repeat(120)
    )
    .into_bytes()
}

/// A text with an attachment of 1 MB.
pub fn attachment() -> Vec<u8> {
    let line =
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3\r\n";
    format!(
        "{HEADER}Content-Type: multipart/mixed; boundary=\"mix\"\r\n\r\n--mix\r\n\
         Content-Type: text/plain\r\n\r\n{}\r\n--mix\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=utf-8''b%C3%A9.pdf\r\n\r\n{}--mix--\r\n",
        LINE.repeat(10),
        line.repeat(12_500)
    )
    .into_bytes()
}

/// All of them with their names.
pub fn all() -> [(&'static str, Vec<u8>); 3] {
    [
        ("plain 2 kB", plain()),
        ("newsletter 30 kB", newsletter()),
        ("attachment 1 MB", attachment()),
    ]
}
