// SPDX-License-Identifier: Apache-2.0
// Drives vpcsim with the vendor's SDK. One scenario a run: node drive.js SCENARIO; fails by throwing.
// Environment: HTTP, HTTPS (host:port of the API), CA (PEM file), ADMIN (unix socket).
'use strict';

const assert = require('assert');
const fs = require('fs');
const http = require('http');

const Credential = require('@alicloud/credentials');
const ecs = require('@alicloud/ecs20140526');
const openapi = require('@alicloud/openapi-client');
const { RPCClient } = require('@alicloud/pop-core');
const vpc = require('@alicloud/vpc20160428');

const key = { accessKeyId: 'LTAI5tVpcsimVpcsimVpcsim', accessKeySecret: 'vpcsimvpcsimvpcsimvpcsimvpcsim' };
const regionId = 'cn-hangzhou';
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function admin(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: process.env.ADMIN, method, path }, (response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function expectCode(code, status, promise) {
  const error = await promise.then(() => assert.fail(`${code} expected`), (refusal) => refusal);
  assert.strictEqual(error.code, code, error.stack);
  if (status !== undefined) assert.strictEqual(error.statusCode, status);
  return error;
}

function config(protocol, more) {
  return new openapi.Config({
    ...key, regionId, protocol,
    endpoint: protocol === 'https' ? process.env.HTTPS : process.env.HTTP,
    ...more,
  });
}

const newEcs = (protocol, more) => new ecs.default(config(protocol, more));
const newVpc = (protocol, more) => new vpc.default(config(protocol, more));

async function untilStatus(client, eni, status) {
  for (let i = 0; i < 200; ++i) {
    const found = await client.describeNetworkInterfaces(
      new ecs.DescribeNetworkInterfacesRequest({ regionId, networkInterfaceId: [eni] }));
    const [record] = found.body.networkInterfaceSets.networkInterfaceSet;
    if (record.status === status) return record;
    await sleep(20);
  }
  return assert.fail(`${eni} does not become ${status}`);
}

// Every action, with what SDK version 2 and later (ACS3-HMAC-SHA256) makes of it.
async function everyAction(client, vpcClient) {
  const instance = await admin('POST', '/instances', { type: 'ecs.g7.xlarge', vswitch: 'vsw-bp1node' });

  const types = await client.describeInstanceTypes(
    new ecs.DescribeInstanceTypesRequest({ instanceTypes: ['ecs.g7.xlarge', 'ecs.g7.large'] }));
  const limits = types.body.instanceTypes.instanceType.find((type) => type.instanceTypeId === 'ecs.g7.xlarge');
  assert.strictEqual(types.body.instanceTypes.instanceType.length, 2);
  assert.strictEqual(limits.eniQuantity, 4);
  assert.strictEqual(limits.eniPrivateIpAddressQuantity, 15);
  assert.strictEqual(limits.eniIpv6AddressQuantity, 15);
  assert.strictEqual(limits.eniTotalQuantity, 20);
  assert.strictEqual(limits.eniTrunkSupported, true);

  const instances = await client.describeInstances(
    new ecs.DescribeInstancesRequest({ regionId, instanceIds: JSON.stringify([instance.id]) }));
  const [described] = instances.body.instances.instance;
  assert.strictEqual(described.status, 'Running');
  assert.strictEqual(described.networkInterfaces.networkInterface[0].networkInterfaceId, instance.primary_eni);
  assert.deepStrictEqual(described.vpcAttributes.privateIpAddress.ipAddress, [instance.primary_address]);

  const vswitches = await vpcClient.describeVSwitches(
    new vpc.DescribeVSwitchesRequest({ regionId, vSwitchId: 'vsw-bp1pods' }));
  const [vswitch] = vswitches.body.vSwitches.vSwitch;
  assert.strictEqual(vswitch.cidrBlock, '10.20.0.0/20');
  assert.strictEqual(vswitch.status, 'Available');
  const free = vswitch.availableIpAddressCount;

  const groups = await client.describeSecurityGroups(new ecs.DescribeSecurityGroupsRequest({ regionId }));
  assert.strictEqual(groups.body.securityGroups.securityGroup[0].securityGroupId, 'sg-bp1lab');

  const wanted = {
    regionId, vSwitchId: 'vsw-bp1pods', securityGroupIds: ['sg-bp1lab'], clientToken: `token-${instance.id}`,
    secondaryPrivateIpAddressCount: 2, ipv6AddressCount: 1, description: 'interface create by terway',
    networkInterfaceName: 'judge', instanceType: 'Secondary', deleteOnRelease: true,
    tag: [new ecs.CreateNetworkInterfaceRequestTag({ key: 'creator', value: 'terway: ümlaut & =' })],
  };
  const created = await client.createNetworkInterface(new ecs.CreateNetworkInterfaceRequest(wanted));
  const eni = created.body.networkInterfaceId;
  assert.match(eni, /^eni-/);
  assert.match(created.body.macAddress, /^00:16:3e:/);
  assert.strictEqual(created.body.status, 'Available');
  assert.strictEqual(created.body.privateIpSets.privateIpSet.length, 3);
  assert.strictEqual(created.body.privateIpSets.privateIpSet.filter((ip) => ip.primary).length, 1);
  assert.strictEqual(created.body.ipv6Sets.ipv6Set.length, 1);
  assert.strictEqual(created.body.tags.tag[0].tagValue, 'terway: ümlaut & =');
  const again = await client.createNetworkInterface(new ecs.CreateNetworkInterfaceRequest(wanted));
  assert.strictEqual(again.body.networkInterfaceId, eni);
  await expectCode('IdempotentParameterMismatch', 400, client.createNetworkInterface(
    new ecs.CreateNetworkInterfaceRequest({ ...wanted, description: 'another' })));

  await client.attachNetworkInterface(
    new ecs.AttachNetworkInterfaceRequest({ regionId, instanceId: instance.id, networkInterfaceId: eni }));
  const attached = await untilStatus(client, eni, 'InUse');
  assert.strictEqual(attached.instanceId, instance.id);
  assert.strictEqual(attached.attachment.deviceIndex, 1);
  assert.strictEqual(attached.type, 'Secondary');
  assert.strictEqual(attached.macAddress, created.body.macAddress);
  assert.match(attached.creationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

  const attribute = await client.describeNetworkInterfaceAttribute(
    new ecs.DescribeNetworkInterfaceAttributeRequest({ regionId, networkInterfaceId: eni, attribute: 'basic' }));
  assert.strictEqual(attribute.body.networkInterfaceId, eni);
  assert.strictEqual(attribute.body.deleteOnRelease, true);

  await client.modifyNetworkInterfaceAttribute(new ecs.ModifyNetworkInterfaceAttributeRequest({
    regionId, networkInterfaceId: eni, networkInterfaceName: 'renamed', securityGroupId: ['sg-bp1lab'] }));

  const assigned = await client.assignPrivateIpAddresses(new ecs.AssignPrivateIpAddressesRequest({
    regionId, networkInterfaceId: eni, secondaryPrivateIpAddressCount: 10 }));
  const addresses = assigned.body.assignedPrivateIpAddressesSet.privateIpSet.privateIpAddress;
  assert.strictEqual(addresses.length, 10);
  await expectCode('InvalidOperation.Ipv4CountExceeded', 403, client.assignPrivateIpAddresses(
    new ecs.AssignPrivateIpAddressesRequest({
      regionId, networkInterfaceId: eni, secondaryPrivateIpAddressCount: 3 })));
  await client.unassignPrivateIpAddresses(new ecs.UnassignPrivateIpAddressesRequest({
    regionId, networkInterfaceId: eni, privateIpAddress: addresses }));
  await expectCode('InvalidIp.IpUnassigned', 403, client.unassignPrivateIpAddresses(
    new ecs.UnassignPrivateIpAddressesRequest({
      regionId, networkInterfaceId: eni, privateIpAddress: addresses })));
  await client.assignPrivateIpAddresses(new ecs.AssignPrivateIpAddressesRequest({
    regionId, networkInterfaceId: eni, privateIpAddress: ['10.20.9.9'] }));

  const six = await client.assignIpv6Addresses(
    new ecs.AssignIpv6AddressesRequest({ regionId, networkInterfaceId: eni, ipv6AddressCount: 2 }));
  assert.strictEqual(six.body.ipv6Sets.ipv6Address.length, 2);
  await client.unassignIpv6Addresses(new ecs.UnassignIpv6AddressesRequest({
    regionId, networkInterfaceId: eni, ipv6Address: six.body.ipv6Sets.ipv6Address }));

  const record = await untilStatus(client, eni, 'InUse');
  assert.strictEqual(record.networkInterfaceName, 'renamed');
  assert.strictEqual(record.privateIpSets.privateIpSet.length, 4);
  assert.ok(record.privateIpSets.privateIpSet.some((ip) => ip.privateIpAddress === '10.20.9.9'));
  await expectCode('InvalidOperation.InvalidEniState', 400,
    client.deleteNetworkInterface(new ecs.DeleteNetworkInterfaceRequest({ regionId, networkInterfaceId: eni })));

  await client.detachNetworkInterface(
    new ecs.DetachNetworkInterfaceRequest({ regionId, instanceId: instance.id, networkInterfaceId: eni }));
  await untilStatus(client, eni, 'Available');
  await client.deleteNetworkInterface(
    new ecs.DeleteNetworkInterfaceRequest({ regionId, networkInterfaceId: eni }));
  const gone = await client.describeNetworkInterfaces(
    new ecs.DescribeNetworkInterfacesRequest({ regionId, networkInterfaceId: [eni] }));
  assert.strictEqual(gone.body.totalCount, 0);
  const after = await vpcClient.describeVSwitches(
    new vpc.DescribeVSwitchesRequest({ regionId, vSwitchId: 'vsw-bp1pods' }));
  assert.strictEqual(after.body.vSwitches.vSwitch[0].availableIpAddressCount, free);
  await admin('DELETE', `/instances/${instance.id}`);
}

async function pages(client) {
  const mine = new Set();
  const create = () => client.createNetworkInterface(new ecs.CreateNetworkInterfaceRequest({
    regionId, vSwitchId: 'vsw-bp1pods', securityGroupId: 'sg-bp1lab', networkInterfaceName: 'paged' }));
  for (let i = 0; i < 25; ++i) mine.add((await create()).body.networkInterfaceId);
  const seen = new Set();
  let nextToken;
  let calls = 0;
  do {
    const page = await client.describeNetworkInterfaces(new ecs.DescribeNetworkInterfacesRequest({
      regionId, networkInterfaceName: 'paged', maxResults: 10, nextToken }));
    for (const record of page.body.networkInterfaceSets.networkInterfaceSet) seen.add(record.networkInterfaceId);
    nextToken = page.body.nextToken;
    ++calls;
  } while (nextToken);
  assert.strictEqual(calls, 3);
  assert.deepStrictEqual([...seen], [...mine]);
  for (const networkInterfaceId of mine) {
    await client.deleteNetworkInterface(new ecs.DeleteNetworkInterfaceRequest({ regionId, networkInterfaceId }));
  }
}

// The generation before, which signs with HMAC-SHA1.
async function classic(endpoint) {
  const client = new RPCClient({ ...key, endpoint, apiVersion: '2014-05-26' });
  const vpcClient = new RPCClient({ ...key, endpoint, apiVersion: '2016-04-28' });
  const ask = (action, parameters, method = 'GET') =>
    client.request(action, { RegionId: regionId, ...parameters }, { method });
  const instance = await admin('POST', '/instances', { type: 'ecs.g7.large', vswitch: 'vsw-bp1node' });
  const enis = [];
  for (let i = 0; i < 3; ++i) {
    const created = await ask('CreateNetworkInterface', {
      VSwitchId: 'vsw-bp1pods', 'SecurityGroupIds.1': 'sg-bp1lab', ClientToken: `classic-${instance.id}-${i}`,
      Description: "with 'odd' (characters) *~+%/ü", 'Tag.1.Key': 'a b', 'Tag.1.Value': '' }, i % 2 ? 'POST' : 'GET');
    assert.strictEqual(created.Description, "with 'odd' (characters) *~+%/ü");
    enis.push(created.NetworkInterfaceId);
  }
  const attach = (eni) => ask('AttachNetworkInterface', { InstanceId: instance.id, NetworkInterfaceId: eni }, 'POST');
  await attach(enis[0]);
  await attach(enis[1]);
  const refused = await attach(enis[2]).then(() => assert.fail('limit expected'), (error) => error);
  assert.strictEqual(refused.code, 'EniPerInstanceLimitExceeded');
  assert.ok(refused.data.RequestId && refused.data.HostId && refused.data.Recommend);
  for (let i = 0; i < 200; ++i) {
    const found = await ask('DescribeNetworkInterfaces', { InstanceId: instance.id, Type: 'Secondary' });
    const sets = found.NetworkInterfaceSets.NetworkInterfaceSet;
    if (sets.length === 2 && sets.every((set) => set.Status === 'InUse')) break;
    assert.ok(i < 199);
    await sleep(20);
  }
  const assigned = await ask('AssignPrivateIpAddresses', {
    NetworkInterfaceId: enis[0], SecondaryPrivateIpAddressCount: 5 }, 'POST');
  const addresses = assigned.AssignedPrivateIpAddressesSet.PrivateIpSet.PrivateIpAddress;
  assert.strictEqual(addresses.length, 5);
  await ask('UnassignPrivateIpAddresses', {
    NetworkInterfaceId: enis[0], 'PrivateIpAddress.1': addresses[0], 'PrivateIpAddress.2': addresses[4] });
  const vswitches = await vpcClient.request('DescribeVSwitches', { RegionId: regionId }, { method: 'POST' });
  assert.strictEqual(vswitches.TotalCount, 2);
  await admin('DELETE', `/instances/${instance.id}`);
  await ask('DeleteNetworkInterface', { NetworkInterfaceId: enis[2] });

  const unknown = await ask('DescribeNothing', {}).then(() => assert.fail(), (error) => error);
  assert.strictEqual(unknown.code, 'InvalidAction.NotFound');
  const forged = new RPCClient({ ...key, accessKeySecret: 'wrong', endpoint, apiVersion: '2014-05-26' });
  const denied = await forged.request('DescribeInstances', { RegionId: regionId }).catch((error) => error);
  assert.strictEqual(denied.code, 'SignatureDoesNotMatch');
}

async function errors(client) {
  const describe = () => client.describeInstances(new ecs.DescribeInstancesRequest({ regionId }));
  const forged = newEcs('http', { accessKeySecret: 'wrong' });
  await expectCode('SignatureDoesNotMatch', 400,
    forged.describeInstances(new ecs.DescribeInstancesRequest({ regionId })));
  const stranger = newEcs('http', { accessKeyId: 'LTAIstranger' });
  await expectCode('InvalidAccessKeyId.NotFound', 404,
    stranger.describeInstances(new ecs.DescribeInstancesRequest({ regionId })));
  await expectCode('InvalidEniId.NotFound', 404, client.deleteNetworkInterface(
    new ecs.DeleteNetworkInterfaceRequest({ regionId, networkInterfaceId: 'eni-nope' })));
  const throttle = await admin('POST', '/faults', { kind: 'throttle', action: 'DescribeInstances', count: 2 });
  await expectCode('Throttling.User', 400, describe());
  await expectCode('Throttling.User', 400, describe());
  await describe();
  await admin('DELETE', `/faults/${throttle.id}`);
  await admin('POST', '/faults', { kind: 'error', status: 503, code: 'ServiceUnavailable', count: 1 });
  await expectCode('ServiceUnavailable', 503, describe());

  // A reply that is lost after the ENI was made: the same token finds it again.
  const wanted = new ecs.CreateNetworkInterfaceRequest({
    regionId, vSwitchId: 'vsw-bp1pods', securityGroupId: 'sg-bp1lab', clientToken: `lost-${Date.now()}` });
  const before = (await admin('GET', '/enis')).length;
  await admin('POST', '/faults', { kind: 'lost_reply', action: 'CreateNetworkInterface', count: 1 });
  await assert.rejects(client.createNetworkInterface(wanted));
  assert.strictEqual((await admin('GET', '/enis')).length, before + 1);
  const found = await client.createNetworkInterface(wanted);
  assert.strictEqual((await admin('GET', '/enis')).length, before + 1);
  await client.deleteNetworkInterface(new ecs.DeleteNetworkInterfaceRequest({
    regionId, networkInterfaceId: found.body.networkInterfaceId }));
  await admin('DELETE', '/faults');
  const calls = await admin('GET', '/calls?action=CreateNetworkInterface');
  assert.ok(calls.calls.some((call) => call.status === 0));
}

// The credentials of the instance's role, fetched by the vendor's client from 100.100.100.200.
async function role() {
  await admin('POST', '/settings', { metadata_token_required: true });
  const instance = await admin('POST', '/instances', {
    type: 'ecs.g7.large', vswitch: 'vsw-bp1node', role: 'NodeRole',
    metadata: { address: '100.100.100.200', port: 80 } });
  const provider = new Credential.default(new Credential.Config({ type: 'ecs_ram_role' }));
  const client = new ecs.default(new openapi.Config({
    credential: provider, regionId, protocol: 'http', endpoint: process.env.HTTP }));
  const instances = await client.describeInstances(new ecs.DescribeInstancesRequest({ regionId }));
  assert.strictEqual(instances.body.instances.instance.length, 1);
  const calls = await admin('GET', '/calls?action=DescribeInstances');
  assert.strictEqual(calls.calls[calls.calls.length - 1].instance, instance.id);
  await admin('DELETE', `/instances/${instance.id}`);
  await admin('POST', '/settings', { metadata_token_required: false });
}

const scenarios = {
  'v3-http': async () => {
    await everyAction(newEcs('http'), newVpc('http'));
    await pages(newEcs('http'));
  },
  'v3-https': async () => {
    const ca = fs.readFileSync(process.env.CA, 'utf8');
    await everyAction(newEcs('https', { ca }), newVpc('https', { ca }));
    await assert.rejects(newEcs('https').describeInstances(new ecs.DescribeInstancesRequest({ regionId })),
      /certificate/i);
  },
  classic: () => classic(`http://${process.env.HTTP}`),
  errors: () => errors(newEcs('http')),
  role,
};

scenarios[process.argv[2]]().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
