#!/bin/sh
# Stand-ins for Terraform's providers of Google Cloud, Azure and random values, as a filesystem mirror in the folder that
# is named. They know the real ones' arguments and make nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/virtual_environment.sh" terraform_providers "$1"
folder=$(cd "$1" && pwd)
checkout=$(dirname "$(dirname "$here")")
PYTHONPATH=$checkout "$folder/bin/python" -m tests.servers.terraform_providers.certificate "$folder"
mirror=$folder/mirror/registry.terraform.io/hashicorp

provider() {
    name=$1 version=$2
    for platform in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64; do
        file=$mirror/$name/$version/$platform/terraform-provider-${name}_v$version
        mkdir -p "$(dirname "$file")"
        printf '#!/bin/sh\nexport PYTHONPATH="%s"\nexec "%s" -m tests.servers.terraform_providers %s\n' \
            "$checkout" "$folder/bin/python" "$name" > "$file"
        chmod +x "$file"
    done
}

provider google 6.50.0
provider azurerm 4.55.0
provider random 3.7.2
