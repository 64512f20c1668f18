// A virtual network for the app's outgoing calls and for the private endpoints of storage, vault and app.
@description('Name of the virtual network.')
param vnetName string

@description('What the names of the security groups begin with.')
param securityGroupPrefix string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Address space of the network.')
param addressPrefix string

@description('Address space of the app\'s subnet, a /26 or larger.')
param appSubnetPrefix string

@description('Address space of the private endpoints\' subnet.')
param endpointSubnetPrefix string

@description('The service that the app\'s subnet is delegated to.')
param appSubnetDelegation string

// Nothing is let in from the internet, and the endpoints are reached by TLS from within the network alone.
module endpointSecurityGroup 'br/public:avm/res/network/network-security-group:0.5.3' = {
  name: 'endpoint-security-group'
  params: {
    name: '${securityGroupPrefix}-endpoints'
    location: location
    tags: tags
    securityRules: [
      {
        name: 'allow-tls-from-the-network'
        properties: {
          access: 'Allow'
          direction: 'Inbound'
          priority: 100
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'VirtualNetwork'
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-everything-else'
        properties: {
          access: 'Deny'
          direction: 'Inbound'
          priority: 4096
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

module appSecurityGroup 'br/public:avm/res/network/network-security-group:0.5.3' = {
  name: 'app-security-group'
  params: {
    name: '${securityGroupPrefix}-app'
    location: location
    tags: tags
    securityRules: [
      {
        name: 'deny-from-the-internet'
        properties: {
          access: 'Deny'
          direction: 'Inbound'
          priority: 4096
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

module virtualNetwork 'br/public:avm/res/network/virtual-network:0.10.1' = {
  name: 'virtual-network'
  params: {
    name: vnetName
    location: location
    tags: tags
    addressPrefixes: [
      addressPrefix
    ]
    subnets: [
      {
        name: 'app'
        addressPrefix: appSubnetPrefix
        delegation: appSubnetDelegation
        networkSecurityGroupResourceId: appSecurityGroup.outputs.resourceId
      }
      {
        name: 'private-endpoints'
        addressPrefix: endpointSubnetPrefix
        networkSecurityGroupResourceId: endpointSecurityGroup.outputs.resourceId
        // Without this a security group says nothing about private endpoints.
        privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
      }
    ]
  }
}

module blobZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'zone-blob'
  params: {
    name: 'privatelink.blob.${environment().suffixes.storage}'
    tags: tags
    virtualNetworkLinks: [
      {
        virtualNetworkResourceId: virtualNetwork.outputs.resourceId
        registrationEnabled: false
      }
    ]
  }
}

module queueZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'zone-queue'
  params: {
    name: 'privatelink.queue.${environment().suffixes.storage}'
    tags: tags
    virtualNetworkLinks: [
      {
        virtualNetworkResourceId: virtualNetwork.outputs.resourceId
        registrationEnabled: false
      }
    ]
  }
}

module tableZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'zone-table'
  params: {
    name: 'privatelink.table.${environment().suffixes.storage}'
    tags: tags
    virtualNetworkLinks: [
      {
        virtualNetworkResourceId: virtualNetwork.outputs.resourceId
        registrationEnabled: false
      }
    ]
  }
}

module vaultZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'zone-vault'
  params: {
    name: 'privatelink.vaultcore.azure.net'
    tags: tags
    virtualNetworkLinks: [
      {
        virtualNetworkResourceId: virtualNetwork.outputs.resourceId
        registrationEnabled: false
      }
    ]
  }
}

module siteZone 'br/public:avm/res/network/private-dns-zone:0.8.1' = {
  name: 'zone-site'
  params: {
    name: 'privatelink.azurewebsites.net'
    tags: tags
    virtualNetworkLinks: [
      {
        virtualNetworkResourceId: virtualNetwork.outputs.resourceId
        registrationEnabled: false
      }
    ]
  }
}

output appSubnetResourceId string = virtualNetwork.outputs.subnetResourceIds[0]
output endpointSubnetResourceId string = virtualNetwork.outputs.subnetResourceIds[1]
output blobZoneResourceId string = blobZone.outputs.resourceId
output queueZoneResourceId string = queueZone.outputs.resourceId
output tableZoneResourceId string = tableZone.outputs.resourceId
output vaultZoneResourceId string = vaultZone.outputs.resourceId
output siteZoneResourceId string = siteZone.outputs.resourceId
