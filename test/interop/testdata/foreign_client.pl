# Does one thing with Net::SFTP::Foreign, for the table of clients. Anything unexpected ends the script.
#
# foreign_client.pl HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
use strict;
use warnings FATAL => 'all';

use Fcntl qw(S_IMODE S_IFMT);
use Net::SFTP::Foreign;
use Net::SFTP::Foreign::Constants qw(:flags);

my ($host, $port, $user, $key, $password, $known, $operation, @arguments) = @ARGV;
my @options = (
    '-F', 'none', '-a', '-x', '-o', 'StrictHostKeyChecking=yes', '-o', "UserKnownHostsFile=$known",
    '-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes', '-o', 'NumberOfPasswordPrompts=1',
);
my $sftp = Net::SFTP::Foreign->new(
    $host, port => $port, user => $user, more => \@options, timeout => 60, autodie => 1,
    ($key ? (key_path => $key) : (password => $password)),
    # Names are bytes, in whatever encoding, but rget turns them into text.
    fs_encoding => $operation eq 'get-tree' ? 'utf8' : 'latin1',
);

sub pairs {
    my ($do) = @_;
    for (my $i = 0; $i + 1 < @arguments; $i += 2) {
        $do->(@arguments[$i, $i + 1]);
    }
}

sub refused {
    my ($what, $do) = @_;
    die "$what was not refused" if eval { $do->(); 1 };
    print "refused $what\n";
}

sub session {
    my ($big, $uid, $gid) = @_;
    $sftp->mkdir('/d');
    $sftp->mkdir('/d/sub');
    $sftp->rmdir('/d/sub');
    $sftp->put($big, '/d/file');
    $sftp->chmod('/d/file', 0604);
    $sftp->utime('/d/file', 981158400, 981158401);
    # The other ID stays as it is.
    $sftp->chown('/d/file', $uid, 0xFFFFFFFF);
    $sftp->chown('/d/file', 0xFFFFFFFF, $gid);
    my $st = $sftp->stat('/d/file');
    printf "stat %d %o %d\n", $st->size, S_IMODE($st->perm), $st->mtime;
    $sftp->symlink('/d/link', 'file');
    printf "readlink %s\n", $sftp->readlink('/d/link');
    printf "lstat %o\n", S_IFMT($sftp->lstat('/d/link')->perm);
    $sftp->put($big, '/d/cut');
    $sftp->truncate('/d/cut', 5);
    $sftp->put_content('gone', '/d/gone');
    $sftp->remove('/d/gone');
    refused('rmdir', sub { $sftp->rmdir('/d') });
    refused('mkdir', sub { $sftp->mkdir('/d') });
    refused('stat', sub { $sftp->stat('/d/gone') });
    $sftp->rename('/d/file', '/d/new');
    printf "realpath %s\n", $sftp->realpath('/d/../d/new');
}

# Times and modes are copied by default.
my @plain = (copy_time => 0, copy_perm => 0);
my %operations = (
    'put' => sub { pairs(sub { $sftp->put(@_, @plain) }) },
    'get' => sub { pairs(sub { $sftp->get(@_, @plain) }) },
    'put-kept' => sub { pairs(sub { $sftp->put(@_, copy_time => 1, copy_perm => 1, umask => 0) }) },
    'get-kept' => sub { pairs(sub { $sftp->get(@_, copy_time => 1, copy_perm => 1, umask => 0) }) },
    'put-rest' => sub { pairs(sub { $sftp->put(@_, resume => 1) }) },
    'get-rest' => sub { pairs(sub { $sftp->get(@_, resume => 1) }) },
    'append' => sub { pairs(sub { $sftp->put(@_, append => 1) }) },
    'put-tree' => sub { pairs(sub { $sftp->rput(@_) }) },
    'get-tree' => sub { pairs(sub { $sftp->rget(@_) }) },
    'rename' => sub { $sftp->rename(@arguments) },
    'posix_rename' => sub { $sftp->rename(@arguments, overwrite => 1) },
    'list' => sub { print map { "$_\n" } grep { $_ !~ /^\.\.?$/ } @{ $sftp->ls($arguments[0], names_only => 1) } },
    'space' => sub { my $st = $sftp->statvfs('/'); printf "%d\n", $st->{frsize} * $st->{blocks} },
    'symlink' => sub { $sftp->symlink(@arguments[1, 0]) },
    'session' => sub { session(@arguments) },
);
$operations{$operation}->();
