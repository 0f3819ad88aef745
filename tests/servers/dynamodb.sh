#!/bin/sh
# DynamoDB Local 1.25.1, AWS's own, out of the npm package that ships it, into the folder that is named.
# It has a licence of its own: it is installed for tests and never committed.
set -eu
package=amplify-dynamodb-simulator@2.9.30
integrity=sha512-xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ==

folder=$1
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
for needed in npm java; do
    command -v $needed >/dev/null || { echo "DynamoDB Local needs $needed: install Node.js 18 and Java 17 or later" >&2; exit 1; }
done
archive=$(npm pack --silent "$package")
got=sha512-$(openssl dgst -sha512 -binary "$archive" | openssl base64 -A)
[ "$got" = "$integrity" ] || { echo "$package is $got, not $integrity as pinned" >&2; exit 1; }
tar -xzf "$archive" --strip-components=2 package/emulator
rm "$archive"
