<?php
// Does one thing with phpseclib, for the table of clients. Anything unexpected throws an exception.
//
// phpseclib_client.php HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
declare(strict_types=1);

require_once 'phpseclib3/autoload.php';

use phpseclib3\Crypt\PublicKeyLoader;
use phpseclib3\Net\SFTP;

// This includes warnings and notices, because phpseclib reports some failures only as those, but not deprecations of PHP 8.2.
set_error_handler(function (int $level, string $message, string $file, int $line): bool {
    if (!(error_reporting() & $level)) {
        return false;
    }
    throw new ErrorException($message, 0, $level, $file, $line);
}, E_ALL & ~E_DEPRECATED);

[, $host, $port, $user, $key, $password, $known, $operation] = $argv;
$arguments = array_slice($argv, 8);

$sftp = new SFTP($host, (int) $port, 60);
$trusted = implode(' ', array_slice(explode(' ', trim(file_get_contents($known))), 1, 2));
if ($sftp->getServerPublicHostKey() !== $trusted) {
    throw new Exception('another host key');
}
$credential = $key !== '' ? PublicKeyLoader::load(file_get_contents($key)) : $password;
if (!$sftp->login($user, $credential)) {
    throw new Exception('login refused');
}

// phpseclib returns false where other libraries throw.
function must($result)
{
    global $sftp;
    if ($result === false) {
        throw new Exception((string) $sftp->getLastSFTPError());
    }
    return $result;
}

function refused(string $what, $result): void
{
    global $sftp;
    if ($result !== false) {
        throw new Exception("$what was not refused");
    }
    echo "refused $what\n";
}

function each(array $arguments, callable $do): void
{
    foreach (array_chunk($arguments, 2) as [$from, $to]) {
        $do($from, $to);
    }
}

function session(SFTP $sftp, string $big, int $uid, int $gid): void
{
    must($sftp->mkdir('/d'));
    must($sftp->mkdir('/d/sub'));
    must($sftp->rmdir('/d/sub'));
    must($sftp->put('/d/file', $big, SFTP::SOURCE_LOCAL_FILE));
    must($sftp->chmod(0604, '/d/file'));
    must($sftp->touch('/d/file', 981158401, 981158400));
    // Each sends the other ID as 0xFFFFFFFF.
    must($sftp->chown('/d/file', $uid));
    must($sftp->chgrp('/d/file', $gid));
    $sftp->clearStatCache();
    $st = must($sftp->stat('/d/file'));
    printf("stat %d %o %d\n", $st['size'], $st['mode'] & 07777, $st['mtime']);
    must($sftp->symlink('file', '/d/link'));
    echo 'readlink ', must($sftp->readlink('/d/link')), "\n";
    printf("lstat %o\n", must($sftp->lstat('/d/link'))['mode'] & 0170000);
    must($sftp->put('/d/cut', $big, SFTP::SOURCE_LOCAL_FILE));
    must($sftp->truncate('/d/cut', 5));
    must($sftp->put('/d/gone', 'gone'));
    must($sftp->delete('/d/gone', false));
    refused('rmdir', $sftp->rmdir('/d'));
    refused('mkdir', $sftp->mkdir('/d'));
    refused('stat', $sftp->stat('/d/gone'));
    must($sftp->rename('/d/file', '/d/new'));
    $sftp->chdir('/d');
    echo 'realpath ', must($sftp->realpath('../d/new')), "\n";
}

switch ($operation) {
    case 'put':
        each($arguments, fn ($from, $to) => must($sftp->put($to, $from, SFTP::SOURCE_LOCAL_FILE)));
        break;
    case 'get':
        each($arguments, fn ($from, $to) => must($sftp->get($from, $to)));
        break;
    case 'put-kept':
        $sftp->enableDatePreservation();
        each($arguments, function ($from, $to) use ($sftp) {
            must($sftp->put($to, $from, SFTP::SOURCE_LOCAL_FILE));
            must($sftp->chmod(fileperms($from) & 07777, $to));
        });
        break;
    case 'get-kept':
        $sftp->enableDatePreservation();
        each($arguments, function ($from, $to) use ($sftp) {
            must($sftp->get($from, $to));
            chmod($to, must($sftp->fileperms($from)) & 07777);
        });
        break;
    case 'put-rest':
        // With RESUME only it sends the whole file from the end of the other one.
        each($arguments, fn ($from, $to) => must($sftp->put($to, $from, SFTP::SOURCE_LOCAL_FILE | SFTP::RESUME, -1, $sftp->filesize($to))));
        break;
    case 'get-rest':
        each($arguments, function ($from, $to) use ($sftp) {
            $f = fopen($to, 'ab');
            must($sftp->get($from, $f, fstat($f)['size']));
            fclose($f);
        });
        break;
    case 'append':
        each($arguments, fn ($from, $to) => must($sftp->put($to, $from, SFTP::SOURCE_LOCAL_FILE | SFTP::RESUME)));
        break;
    case 'rename':
        must($sftp->rename($arguments[0], $arguments[1]));
        break;
    case 'list':
        foreach (must($sftp->nlist($arguments[0])) as $name) {
            echo $name, "\n";
        }
        break;
    case 'symlink':
        must($sftp->symlink($arguments[0], $arguments[1]));
        break;
    case 'session':
        session($sftp, $arguments[0], (int) $arguments[1], (int) $arguments[2]);
        break;
    default:
        throw new Exception("no operation $operation");
}
