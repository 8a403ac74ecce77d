# The first process of a host: mounts what it sees, then waits for logins. See hosts.py.
set -eu
name=$1 folder=$2
mount --make-rprivate /
mount -t proc proc /proc
hostname "$name"

# Python may lie in root's home, which the user of the cluster must not see otherwise.
case $PYTHON_HOME in
  /root/*) mkdir "$folder/$name-python"; mount --bind "$PYTHON_HOME" "$folder/$name-python" ;;
esac
for place in /root /home /srv /run; do mount -t tmpfs -o mode=755 tmpfs $place; done
case $PYTHON_HOME in
  /root/*) mkdir -p "$PYTHON_HOME"; mount --move "$folder/$name-python" "$PYTHON_HOME" ;;
esac
for place in /tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $place; done
mkdir -m 700 /root/.ssh; mkdir /run/sshd
install -m 600 "$folder/id" /root/.ssh/id

if [ "$name" = laptop ]; then exec sleep infinity; fi

for table in passwd group; do cp /etc/$table /run/$table; done
echo "$USER_NAME:x:$USER_ID:$USER_ID::/home/$USER_NAME:/bin/bash" >> /run/passwd
echo "$USER_NAME:x:$USER_ID:" >> /run/group
for table in passwd group; do mount --bind /run/$table /etc/$table; done
mkdir /srv/studies; mount --bind "$folder/studies" /srv/studies

# An environment with nothing of ours in it, that finds the packages installed here: a network
# would bring the same ones. pip still checks every one of them against the lock file.
home=/home/$USER_NAME environment=/home/$USER_NAME/groupstudy/.venv
mkdir -p $home/.ssh $home/groupstudy
"$PYTHON" -m venv --without-pip $environment
echo "$ENVIRONMENT"/lib/python3.*/site-packages > "$(echo $environment/lib/python3.*/site-packages)/installed.pth"
sed "1s|.*|#!$environment/bin/python|" "$ENVIRONMENT/bin/ray" > $environment/bin/ray
chmod 755 $environment/bin/ray
cp "$folder/id.pub" $home/.ssh/authorized_keys
chown -R "$USER_ID:$USER_ID" $home; chmod 700 $home $home/.ssh

cat > /run/sshd_config <<EOF
HostKey $folder/host
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
AllowUsers $USER_NAME
SetEnv PIP_NO_INDEX=1 PIP_FIND_LINKS=$folder/wheels PIP_NO_CACHE_DIR=1
EOF
exec /usr/sbin/sshd -D -e -f /run/sshd_config
